"""Your own sequences, one task after another: ``python -m trainers.own_data DIR``."""

from __future__ import annotations

import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import fine_tuning, from_scratch, hnet, multitask, online_ewc
from data_pipelines import own_data
from trainers.presets import Benchmark, Preset
from trainers.run import main


def _preset(summary: str, method: str, options: object) -> Preset:
    return Preset(
        summary=summary,
        method=method,
        method_options=options,
        data=own_data.Config(),
        network=NetworkConfig(cell="lstm", hidden_sizes=(64,)),
        hypernetwork=HypernetworkConfig(chunk_size=1000, chunk_embedding_std=0.1),
        train=TrainConfig(steps=1000, batch_size=32, learning_rate=2e-3, clip_norm=1.0),
    )


PRESETS = {
    "hnet": _preset("HNET: a hypernetwork generates the network of each task", "hnet", hnet.Config(strength=1.0)),
    "online_ewc": _preset("online EWC: one network", "online_ewc", online_ewc.Config(strength=1e4)),
    "fine_tuning": _preset("fine-tuning: what is forgotten without a method", "fine_tuning", fine_tuning.Config()),
    "from_scratch": _preset("a network of its own for each task", "from_scratch", from_scratch.Config()),
    "multitask": _preset("all tasks at once", "multitask", multitask.Config()),
}

_EXAMPLES = (
    ("DIR --quick", "can the files in DIR be read?"),
    (
        "DIR --out runs/own",
        "learn the tasks in DIR: DIR/a.csv, DIR/b.csv, ..., with columns sequence, label and inputs",
    ),
    ("--out runs/own --resume", "continue it after an interrupt"),
    ("DIR --data.label-columns fever cough --data.outputs sigmoid --data.missing previous", "two labels at once"),
    ("DIR --preset fine_tuning --data.tasks a c", "two of the tasks, without a method against forgetting"),
)

BENCHMARK = Benchmark("own_data", own_data, PRESETS, "fine_tuning", _EXAMPLES, uses_data=True, directory_first=True)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
