"""Random recurrent teachers, one after another: ``python -m trainers.student_teacher``."""

from __future__ import annotations

import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import coresets, fine_tuning, from_scratch, generative_replay, hnet, multitask, online_ewc, si
from data_pipelines import student_teacher
from trainers.presets import Benchmark, Preset
from trainers.run import main

_ELMAN = NetworkConfig(cell="elman", hidden_sizes=(256,))
_TRAIN = TrainConfig(steps=5000, batch_size=64, learning_rate=1e-3)
_DEFAULTS = "defaults of the published command, no figures given"


def _published(summary: str, method: str, options: object) -> Preset:
    """The published code gives no command for this benchmark; these are its default settings."""
    return Preset(
        summary=summary,
        method=method,
        method_options=options,
        data=student_teacher.Config(),
        network=_ELMAN,
        train=_TRAIN,
        published_settings=_DEFAULTS,
    )


def _short(summary: str, method: str, options: object) -> Preset:
    """Minutes on two cores: 3 teachers, a network of 64 units, 1,000 steps a task."""
    return Preset(
        summary=f"{summary}, a smaller network and 1,000 steps a task",
        method=method,
        method_options=options,
        data=student_teacher.Config(num_tasks=3),
        network=NetworkConfig(cell="elman", hidden_sizes=(64,)),
        hypernetwork=HypernetworkConfig(chunk_size=500, chunk_embedding_std=0.1),
        train=TrainConfig(steps=1000, batch_size=64, learning_rate=2e-3),
    )


PRESETS = {
    "hnet": _published("HNET, 5 teachers", "hnet", hnet.Config(strength=0.01)),
    "fine_tuning": _published("fine-tuning, 5 teachers", "fine_tuning", fine_tuning.Config()),
    "online_ewc": _published("online EWC, 5 teachers", "online_ewc", online_ewc.Config(strength=1e5)),
    "si": _published("synaptic intelligence, 5 teachers", "si", si.Config(strength=1.0)),
    "coresets": _published(
        "distillation on 100 sequences of each old task, 5 teachers", "coresets", coresets.Config(size=100)
    ),
    "generative_replay": _published(
        "generative replay, 5 teachers (the published code fails here)", "generative_replay", generative_replay.Config()
    ),
    "multitask": _published("all teachers at once", "multitask", multitask.Config()),
    "from_scratch": _published("a network of its own for each teacher", "from_scratch", from_scratch.Config()),
    "hnet_short": _short("HNET, 3 teachers", "hnet", hnet.Config(strength=1.0)),
    "fine_tuning_short": _short("fine-tuning, 3 teachers", "fine_tuning", fine_tuning.Config()),
}

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--preset hnet_short --out runs/teachers", "learn three teachers in minutes"),
    ("--out runs/teachers --resume", "continue it after an interrupt"),
    ("--method si --data.orthogonal --data.num-steps 20", "another method, and teachers that remember for longer"),
    ("--list-presets", "all presets"),
)

BENCHMARK = Benchmark("student_teacher", student_teacher, PRESETS, "fine_tuning", _EXAMPLES)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
