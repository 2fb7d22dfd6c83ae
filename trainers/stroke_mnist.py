"""Split Stroke-MNIST, one pair of digits after another: ``python -m trainers.stroke_mnist``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig
from data_pipelines import stroke_mnist
from trainers.presets import Benchmark
from trainers.published_terms import published_preset, starter
from trainers.run import main

_DATA = stroke_mnist.Config()
_KAO = stroke_mnist.Config(variants=("plain", "swapped", "flipped"))

# Preset, what it is, method, settings as published, final accuracy. The READMEs give none right after a task.
_PUBLISHED_RUNS = (
    ("multitask", "all tasks at once", "multitask", "MH K=5 bs=128 it=10000 lr=0.001", 99.0),
    (
        "coresets",
        "distillation on 100 digits of each old task",
        "coresets",
        "MH K=5 bs=64 it=5000 lr=0.0001 distill=10.0 coreset=100",
        99.0,
    ),
    (
        "coresets_50",
        "distillation on 50 digits of each old task",
        "coresets",
        "MH K=5 bs=64 it=10000 lr=0.0001 distill=10.0 coreset=50",
        98.5,
    ),
    (
        "coresets_10",
        "distillation on 10 digits of each old task",
        "coresets",
        "MH K=5 bs=64 it=5000 lr=0.001 distill=10.0 coreset=10",
        97.5,
    ),
    (
        "generative_replay",
        "generative replay",
        "generative_replay",
        "MH K=5 bs=128 it=5000 lr=0.001 pm=1.0 rec=10.0 distill=10.0 z=32 dec=256",
        97.5,
    ),
    (
        "generative_replay_dense",
        "generative replay, dense layers before and after the decoder's recurrent one",
        "generative_replay",
        "MH K=5 bs=128 it=10000 lr=0.0001 pm=0.1 rec=1.0 distill=10.0 z=16 dec=256 dec_pre=256 dec_post=256",
        98.0,
    ),
    (
        "hnet_replay",
        "generative replay by the decoders of a hypernetwork",
        "hnet_replay",
        "MH beta=0.1 K=5 bs=64 it=5000 lr=0.001 hnet=50,50 temb=32 chunk=5000 cemb=32 std_temb=1.0 std_cemb=0.1 "
        "pm=0.1 rec=0.1 distill=10.0 z=16 dec=256",
        99.0,
    ),
    (
        "hnet_replay_dense",
        "the same, dense layers before and after the decoder's recurrent one",
        "hnet_replay",
        "MH beta=100.0 K=5 bs=64 it=10000 lr=0.001 hnet=50,50 temb=32 chunk=5000 cemb=32 std_temb=1.0 std_cemb=0.1 "
        "pm=0.1 rec=1.0 distill=10.0 z=16 dec=256 dec_pre=256 dec_post=256",
        99.0,
    ),
)

PRESETS = {
    name: published_preset(what, method, terms, _DATA, (None, final))
    for name, what, method, terms, final in _PUBLISHED_RUNS
}

# Not among the published runs of this benchmark: the settings are those of sequences of one digit, which are the same
# task on fewer digits.
_OURS = {
    "hnet": ("HNET", "MH chunk=10000 beta=0.01 bs=128 it=2000 lr=0.001 hnet=25,25 temb=32 cemb=16 std_cemb=0.1"),
    "fine_tuning": ("fine-tuning", "MH bs=64 it=3000 lr=0.001 clip=1"),
    "online_ewc": ("online EWC", "MH bs=64 it=2000 lr=0.005 lamEWC=1e7 n_fisher=200"),
    "si": ("synaptic intelligence", "MH bs=64 it=3000 lr=0.005 clip=1 lamSI=0.01 si_task_only"),
    "masking_si": ("masking and SI", "MH bs=128 it=4000 lr=0.005 clip=1 lamSI=0.01 si_task_only"),
    "from_scratch": ("a network of its own for each task", "bs=128 it=3000 lr=0.001 clip=1"),
}
PRESETS |= {
    name: dataclasses.replace(
        published_preset(what, name, terms, _DATA, (None, None)), published_settings="", expected=None
    )
    for name, (what, terms) in _OURS.items()
}
PRESETS |= {
    f"{name}_15_tasks": dataclasses.replace(
        PRESETS[name], summary=f"{_OURS[name][0]}, the 15 tasks of Kao et al. 2021: plain, swapped, flipped", data=_KAO
    )
    for name in ("hnet", "online_ewc", "fine_tuning")
}
PRESETS |= {
    f"starter_{name}": dataclasses.replace(
        starter(
            PRESETS[name],
            what,
            dataclasses.replace(_DATA, num_validation=30),
            steps=300,
            batch_size=32,
            learning_rate=3e-3,
            clip_norm=1.0,
        ),
        network=NetworkConfig(hidden_sizes=(64,), heads=PRESETS[name].network.heads),
        hypernetwork=HypernetworkConfig(chunk_size=2000, hidden_sizes=(25, 25), chunk_embedding_std=0.1),
    )
    for name, what in {
        **{name: what for name, (what, _) in _OURS.items()},
        "multitask": "all tasks at once",
        "coresets": "distillation on 100 digits of each old task",
        "generative_replay": "generative replay",
        "hnet_replay": "generative replay by the decoders of a hypernetwork",
    }.items()
}

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--out runs/strokes", "learn the embedded digits; no data needed"),
    ("--data-dir DIR --preset generative_replay", "learn the strokes in DIR as published"),
    ("--data-dir DIR --preset hnet_15_tasks", "15 tasks: digits plain, swapped and flipped"),
    ("--data-dir DIR --method si --train.steps 1000", "another method, and settings of your own"),
    ("--list-presets", "the published runs, and what to expect of them"),
)

BENCHMARK = Benchmark("stroke_mnist", stroke_mnist, PRESETS, "fine_tuning", _EXAMPLES, uses_data=True)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
