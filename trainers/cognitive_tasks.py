"""Cognitive tasks of Yang et al. 2019, one after another: ``python -m trainers.cognitive_tasks``."""

from __future__ import annotations

import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import coresets, fine_tuning, from_scratch, hnet, masking_si, multitask, online_ewc, si
from data_pipelines import cognitive_tasks
from trainers.presets import Benchmark, Preset
from trainers.run import main

_HYPERNETWORK = HypernetworkConfig(chunk_size=2500, chunk_embedding_std=0.1)


def _nine_tasks(summary: str, method: str, options: object) -> Preset:
    """A first try: sizes and rates were not tuned, and nobody has published figures of these networks."""
    return Preset(
        summary=f"{summary}, nine tasks",
        method=method,
        method_options=options,
        data=cognitive_tasks.Config(),
        network=NetworkConfig(cell="lstm", hidden_sizes=(128,)),
        hypernetwork=_HYPERNETWORK,
        train=TrainConfig(steps=3000, batch_size=64, learning_rate=2e-3, clip_norm=1.0),
    )


def _short(summary: str, method: str, options: object) -> Preset:
    """Minutes on two cores: four tasks with one stimulus, a small network, steps of 100 ms."""
    return Preset(
        summary=f"{summary}, four tasks with one stimulus, in minutes",
        method=method,
        method_options=options,
        data=cognitive_tasks.Config(
            tasks=("fdgo", "fdanti", "delaygo", "delayanti"), ring_size=16, step_duration=100, num_train=3000
        ),
        network=NetworkConfig(cell="lstm", hidden_sizes=(48,)),
        hypernetwork=HypernetworkConfig(chunk_size=1000, chunk_embedding_std=0.1),
        train=TrainConfig(steps=600, batch_size=64, learning_rate=5e-3, clip_norm=1.0),
    )


PRESETS = {
    "hnet": _nine_tasks("HNET", "hnet", hnet.Config(strength=1.0)),
    "fine_tuning": _nine_tasks("fine-tuning", "fine_tuning", fine_tuning.Config()),
    "online_ewc": _nine_tasks("online EWC", "online_ewc", online_ewc.Config(strength=1e5, num_sequences=500)),
    "si": _nine_tasks("synaptic intelligence", "si", si.Config(strength=1.0)),
    "masking_si": _nine_tasks("masking and SI", "masking_si", masking_si.Config(strength=1.0, fraction=0.8)),
    "coresets": _nine_tasks(
        "distillation on 100 trials of each old task", "coresets", coresets.Config(strength=10.0, size=100)
    ),
    "multitask": _nine_tasks("all tasks at once", "multitask", multitask.Config()),
    "from_scratch": _nine_tasks("a network of its own for each task", "from_scratch", from_scratch.Config()),
    "hnet_short": _short("HNET", "hnet", hnet.Config(strength=10.0)),
    "fine_tuning_short": _short("fine-tuning", "fine_tuning", fine_tuning.Config()),
    "online_ewc_short": _short("online EWC", "online_ewc", online_ewc.Config(strength=1e5, num_sequences=500)),
}

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--preset hnet_short --out runs/cognitive", "learn four tasks in minutes"),
    ("--out runs/cognitive --resume", "continue it after an interrupt"),
    ("--method si --data.tasks dm1 dm2 multidm --data.coherence-scale 10", "another method, and easy decisions"),
    ("--list-presets", "all presets"),
)

BENCHMARK = Benchmark("cognitive_tasks", cognitive_tasks, PRESETS, "fine_tuning", _EXAMPLES)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
