"""Split AudioSet, ten classes of sounds after ten others: ``python -m trainers.split_audioset``."""

from __future__ import annotations

import dataclasses
import sys

from data_pipelines import split_audioset
from trainers.presets import Benchmark, Expected
from trainers.published_terms import PUBLISHED, published_preset, starter
from trainers.run import main

_DATA = split_audioset.Config()
_WHAT = {
    "hnet": "HNET",
    "online_ewc": "online EWC",
    "online_ewc_task_id": "online EWC, the network being told the task",
    "si": "synaptic intelligence",
    "masking": "masking",
    "masking_si": "masking and SI",
    "coresets": "distillation on 100 clips of each old task",
    "coresets_500": "distillation on 500 clips of each old task",
    "multitask": "all tasks at once",
    "from_scratch": "a network of its own for each task",
    "fine_tuning": "fine-tuning",
    "fine_tuning_slow": "fine-tuning with a smaller learning rate",
    "fine_tuning_orthogonal": "fine-tuning, recurrent weights held orthogonal",
    "fine_tuning_lstm256": "fine-tuning, 256 units",
    "fine_tuning_lstm128": "fine-tuning, 128 units",
    "fine_tuning_lstm64": "fine-tuning, 64 units",
    "fine_tuning_lstm16": "fine-tuning, 16 units",
    "fine_tuning_lstm8": "fine-tuning, 8 units",
}
_VARIANTS = ("_task_id", "_500", "_slow", "_orthogonal", "_lstm256", "_lstm128", "_lstm64", "_lstm16", "_lstm8")

# Preset, settings as published, during and final accuracy.
_PUBLISHED_RUNS = (
    (
        "hnet",
        "MH chunk=2000 beta=1.0 K=10 bs=128 it=15000 lr=0.0001 weight_decay=0.01 clip=-1 rnn=32 hnet=10,10 temb=32 "
        "cemb=32 std_temb=1.0 std_cemb=0.1",
        None,
        72.65,
    ),
    ("online_ewc", "MH K=10 bs=128 it=25000 lr=0.0001 clip=-1 rnn=32 lamEWC=100.0 n_fisher=-1", None, 67.5),
    (
        "online_ewc_task_id",
        "MH K=10 bs=64 it=25000 lr=0.0001 clip=1 rnn=32 TASK-ID-IN lamEWC=10.0 n_fisher=-1",
        71.74,
        66.35,
    ),
    ("si", "MH K=10 bs=64 it=25000 lr=0.0001 clip=-1 rnn=32 lamSI=1.0 si_task_only", None, 67),
    ("masking", "MH K=10 bs=64 it=25000 lr=0.0001 clip=-1 rnn=32 mask=0.6", None, 55),
    ("masking_si", "MH K=10 bs=64 it=25000 lr=0.0001 clip=1 rnn=32 mask=0.4 lamSI=100.0 si_task_only", None, 65),
    ("coresets", "MH K=10 bs=64 it=25000 lr=0.0001 clip=1 rnn=32 best_model distill=10.0 coreset=100", None, 72.5),
    ("coresets_500", "MH K=10 bs=64 it=10000 lr=0.0001 clip=-1 rnn=32 best_model distill=0.1 coreset=500", None, 73.5),
    ("multitask", "MH K=10 bs=64 it=50000 lr=0.0001 clip=1 rnn=32 orth=-1", None, 77),
    ("from_scratch", "K=10 bs=128 it=25000 lr=0.001 clip=1 rnn=32", 79, None),
    ("fine_tuning", "MH K=10 bs=64 it=25000 lr=0.0001 clip=1 rnn=32", 79, 41),
    ("fine_tuning_slow", "MH K=10 bs=64 it=50000 lr=1e-05 clip=-1 rnn=32 orth=0.1", 72, 51),
    ("fine_tuning_orthogonal", "MH K=10 bs=64 it=25000 lr=0.0001 clip=1 rnn=32 orth_init orth=1.0", 80, 43),
    ("fine_tuning_lstm256", "MH K=10 bs=64 it=10000 lr=0.0001 clip=1", 81, 69),
    ("fine_tuning_lstm128", "MH K=10 bs=64 it=10000 lr=0.0001 clip=-1 rnn=128", 81, 67),
    ("fine_tuning_lstm64", "MH K=10 bs=64 it=25000 lr=0.0001 clip=-1 rnn=64", 80, 53),
    ("fine_tuning_lstm16", "MH K=10 bs=64 it=25000 lr=0.0001 clip=-1 rnn=16", 77, 32),
    ("fine_tuning_lstm8", "MH K=10 bs=64 it=25000 lr=0.0001 clip=-1 rnn=8 best_model", 73, 29),
)


def _method(name: str) -> str:
    """The method of a preset."""
    for variant in _VARIANTS:
        name = name.removesuffix(variant)
    return name


PRESETS = {
    name: dataclasses.replace(
        published_preset(_WHAT[name], _method(name), terms, _DATA, (during, final)),
        expected=Expected(during, final, f"{PUBLISHED}, on 1,000 clips a class"),
    )
    for name, terms, during, final in _PUBLISHED_RUNS
}
# Features are scaled: raw ones saturate the gates, and the few steps would not bring them back.
PRESETS |= {
    f"starter_{name}": starter(
        preset,
        _WHAT[name],
        split_audioset.Config(num_tasks=5, scaled=True),
        steps=500,
        batch_size=64,
        learning_rate=2e-3,
        clip_norm=1.0,
    )
    for name, preset in list(PRESETS.items())
    if name == _method(name)
}

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--out runs/sounds", "learn synthesised sounds; no data needed"),
    ("--data-dir DIR --preset hnet", "learn the clips in DIR as published"),
    ("--data-dir DIR --method si --data.scaled", "another method, features scaled to [0, 1]"),
    ("--list-presets", "the published runs, and what to expect of them"),
)

BENCHMARK = Benchmark("split_audioset", split_audioset, PRESETS, "fine_tuning", _EXAMPLES, uses_data=True)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
