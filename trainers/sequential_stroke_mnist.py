"""Sequential Stroke-MNIST, sequences of m digits: ``python -m trainers.sequential_stroke_mnist``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig
from data_pipelines import sequential_stroke_mnist
from trainers.presets import Benchmark
from trainers.published_terms import published_preset, starter
from trainers.run import main

_WHAT = {
    "hnet": "HNET",
    "online_ewc": "online EWC",
    "online_ewc_task_id": "online EWC, the network being told the task",
    "fine_tuning": "fine-tuning",
    "si": "synaptic intelligence",
    "masking": "masking",
    "masking_si": "masking and SI",
    "coresets": "distillation on 500 sequences of each old task",
    "multitask": "all tasks at once",
    "from_scratch": "a network of its own for each task",
}

# Name, m, settings as published, during and final accuracy. Two classes everywhere: with m = 1 they are the two digits.
_PUBLISHED_RUNS = (
    (
        "hnet",
        1,
        "MH chunk=10000 beta=0.01 K=5 bs=128 it=2000 lr=0.001 clip=-1 hnet=25,25 temb=32 cemb=16 std_temb=1.0 "
        "std_cemb=0.1 m=1",
        99.6,
        99.56,
    ),
    (
        "hnet",
        2,
        "MH chunk=10000 beta=0.1 K=5 bs=128 it=8000 lr=0.001 clip=100 hnet=25,25 temb=32 cemb=16 std_temb=1.0 "
        "std_cemb=0.1 m=2",
        99.0,
        98.99,
    ),
    (
        "hnet",
        3,
        "MH chunk=5000 beta=1 K=5 bs=64 it=8000 lr=0.001 clip=-1 hnet=50,50 temb=32 cemb=16 std_temb=0.1 "
        "std_cemb=0.1 m=3",
        98.45,
        98.48,
    ),
    (
        "hnet",
        4,
        "MH chunk=10000 beta=0.01 K=5 bs=128 it=20000 lr=0.001 clip=-1 hnet=25,25 temb=16 cemb=16 std_temb=0.1 "
        "std_cemb=0.1 m=4",
        98.1,
        98.02,
    ),
    ("online_ewc", 1, "MH K=5 bs=64 it=2000 lr=0.005 clip=-1 m=1 lamEWC=1e7 n_fisher=200", 98.53, 98.45),
    ("online_ewc", 2, "MH K=5 bs=64 it=8000 lr=0.005 clip=100 m=2 lamEWC=1e7 n_fisher=200", 95.4, 88.62),
    ("online_ewc", 3, "MH K=5 bs=128 it=8000 lr=0.001 clip=-1 m=3 lamEWC=1e7 n_fisher=200", 83.06, 82.28),
    ("online_ewc", 4, "MH K=5 bs=64 it=20000 lr=0.001 clip=100 m=4 lamEWC=1e5 n_fisher=200", 90.04, 79.01),
    (
        "online_ewc_task_id",
        1,
        "MH K=5 bs=128 it=3000 lr=0.005 clip=1 TASK-ID-IN m=1 lamEWC=1e8 n_fisher=-1",
        99.39,
        98.36,
    ),
    (
        "online_ewc_task_id",
        2,
        "MH K=5 bs=128 it=8000 lr=0.0001 clip=-1 TASK-ID-IN m=2 lamEWC=10000.0 n_fisher=-1",
        95.71,
        88.51,
    ),
    (
        "online_ewc_task_id",
        3,
        "MH K=5 bs=64 it=12000 lr=0.001 clip=100 TASK-ID-IN m=3 lamEWC=1e7 n_fisher=-1",
        96.63,
        93.14,
    ),
    (
        "online_ewc_task_id",
        4,
        "MH K=5 bs=64 it=20000 lr=0.001 clip=-1 TASK-ID-IN m=4 lamEWC=1e10 n_fisher=-1",
        90.65,
        88.94,
    ),
    ("fine_tuning", 1, "MH K=5 bs=64 it=3000 lr=0.001 clip=1 m=1", 99.58, 94.38),
    ("fine_tuning", 2, "MH K=5 bs=128 it=6000 lr=0.001 clip=1 m=2", 99.29, 82.54),
    ("fine_tuning", 3, "MH K=5 bs=64 it=16000 lr=0.001 clip=1 m=3", 99.34, 70.49),
    ("fine_tuning", 4, "MH K=5 bs=64 it=25000 lr=0.001 clip=1 m=4", 99.03, 73.34),
    ("si", 1, "MH K=5 bs=64 it=3000 lr=0.005 clip=1 m=1 lamSI=0.01 si_task_only", 99.15, 98.54),
    ("si", 2, "MH K=5 bs=128 it=6000 lr=0.001 clip=1 m=2 lamSI=0.1 si_task_only", 94.51, 90.97),
    ("si", 3, "MH K=5 bs=128 it=16000 lr=0.0001 clip=1 m=3 lamSI=100.0 si_task_only", 88.0, 83.16),
    ("si", 4, "MH K=5 bs=128 it=25000 lr=0.005 clip=-1 m=4 lamSI=10.0 si_task_only", 88.02, 76.61),
    ("masking", 1, "MH K=5 bs=64 it=4000 lr=0.005 clip=1 mask=0.8 m=1", 99.58, 99.42),
    ("masking", 2, "MH K=5 bs=128 it=8000 lr=0.001 clip=1 mask=0.6 m=2", 99.26, 95.87),
    ("masking", 3, "MH K=5 bs=64 it=12000 lr=0.001 clip=1 mask=0.6 m=3", 99.30, 88.06),
    ("masking", 4, "MH K=5 bs=64 it=15000 lr=0.001 clip=1 mask=0.6 m=4", 89.15, 80.03),
    ("masking_si", 1, "MH K=5 bs=128 it=4000 lr=0.005 clip=1 m=1 lamSI=0.01 si_task_only", 99.73, 99.73),
    ("masking_si", 2, "MH K=5 bs=128 it=10000 lr=0.001 clip=1 m=2 lamSI=1.0 si_task_only", 98.86, 98.87),
    ("masking_si", 3, "MH K=5 bs=64 it=16000 lr=0.001 clip=1 mask=0.4 m=3 lamSI=1.0 si_task_only", 98.91, 98.91),
    ("masking_si", 4, "MH K=5 bs=64 it=25000 lr=0.001 clip=1 mask=0.4 m=4 lamSI=0.01 si_task_only", 98.85, 98.85),
    ("coresets", 1, "MH K=5 bs=64 it=4000 lr=0.001 clip=1 distill=10 coreset=500 m=1", 99.59, 99.47),
    ("coresets", 2, "MH K=5 bs=64 it=6000 lr=0.001 clip=1 distill=1.0 coreset=500 m=2", 99.07, 98.37),
    ("coresets", 3, "MH K=5 bs=64 it=16000 lr=0.001 clip=1 distill=10 coreset=500 m=3", 98.72, 97.82),
    ("coresets", 4, "MH K=5 bs=128 it=15000 lr=0.0001 clip=100 distill=10 coreset=500 m=4", 96.35, 94.16),
    ("multitask", 1, "MH K=5 bs=512 it=4000 lr=0.005 clip=-1 m=1", None, 99.84),
    ("multitask", 2, "MH K=5 bs=256 it=10000 lr=0.001 clip=1 m=2", None, 99.37),
    ("multitask", 3, "MH K=5 bs=128 it=8000 lr=0.001 clip=-1 m=3", None, 99.04),
    ("multitask", 4, "MH K=5 bs=512 it=20000 lr=0.001 clip=-1 m=4", None, 98.74),
    ("from_scratch", 1, "K=5 bs=128 it=3000 lr=0.001 clip=1 m=1", 99.78, None),
    ("from_scratch", 2, "K=5 bs=128 it=8000 lr=0.001 clip=-1 m=2", 99.15, None),
    ("from_scratch", 3, "K=5 bs=64 it=12000 lr=0.005 clip=100 m=3", 98.19, None),
    ("from_scratch", 4, "K=5 bs=64 it=25000 lr=0.001 clip=1 m=4", 89.42, None),
)

_NOTES = {
    "hnet_m1": " (seed 0 diverges, as gradients are not clipped)",
    "hnet_m2": " (seed 0 diverges, as gradients are only clipped at 100)",
}

PRESETS = {
    f"{name}_m{num_digits}": published_preset(
        f"{_WHAT[name]}, {num_digits} digit{'s' if num_digits > 1 else ''} a sequence"
        + _NOTES.get(f"{name}_m{num_digits}", ""),
        name.removesuffix("_task_id"),
        terms,
        sequential_stroke_mnist.Config(num_digits=num_digits),
        (during, final),
    )
    for name, num_digits, terms, during, final in _PUBLISHED_RUNS
}

_STARTER_DATA = sequential_stroke_mnist.Config(num_train=2000, num_validation=200, num_test=500)
_STARTER_NETWORK = NetworkConfig(hidden_sizes=(64,))
_STARTERS = {
    f"starter_{name}": dataclasses.replace(
        starter(
            PRESETS[f"{name}_m2"],
            _WHAT[name],
            _STARTER_DATA,
            steps=500,
            batch_size=64,
            learning_rate=3e-3,
            clip_norm=1.0,
        ),
        network=dataclasses.replace(_STARTER_NETWORK, heads=PRESETS[f"{name}_m2"].network.heads),
        hypernetwork=HypernetworkConfig(chunk_size=2000, hidden_sizes=(25, 25), chunk_embedding_std=0.1),
    )
    for name in _WHAT
    if name != "online_ewc_task_id"
}
PRESETS |= _STARTERS

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--out runs/sequences", "learn two-digit sequences of the embedded digits; no data needed"),
    ("--data-dir DIR --preset hnet_m1 --train.clip-norm 1", "learn the strokes in DIR"),
    ("--data-dir DIR --method si --data.num-digits 3", "another method, sequences of three digits"),
    ("--list-presets", "the published runs, and what to expect of them"),
)

BENCHMARK = Benchmark(
    "sequential_stroke_mnist", sequential_stroke_mnist, PRESETS, "fine_tuning_m2", _EXAMPLES, uses_data=True
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
