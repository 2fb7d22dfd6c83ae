"""Spoken words, two after two others: ``python -m trainers.speech_commands``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import fine_tuning, from_scratch, hnet, masking_si, multitask, online_ewc, si
from data_pipelines import speech_commands
from trainers.presets import Benchmark, Preset
from trainers.run import main

_LSTM = NetworkConfig(cell="lstm", hidden_sizes=(64,))
_TRAIN = TrainConfig(steps=3_000, batch_size=64, learning_rate=2e-3, clip_norm=1.0)
_STARTER_TRAIN = dataclasses.replace(_TRAIN, steps=300, batch_size=32, validate_every=100, jit="off")

# For recordings; none was tuned. The same with `starter_` before it learns synthesised words in minutes.
_RECORDED = {
    "hnet": Preset(
        summary="HNET",
        method="hnet",
        method_options=hnet.Config(strength=1.0),
        data=speech_commands.Config(source="tfds"),
        network=_LSTM,
        hypernetwork=HypernetworkConfig(chunk_size=2000, hidden_sizes=(50, 50), chunk_embedding_std=0.1),
        train=_TRAIN,
    ),
    "fine_tuning": Preset(
        summary="fine-tuning",
        method="fine_tuning",
        method_options=fine_tuning.Config(),
        data=speech_commands.Config(source="tfds"),
        network=_LSTM,
        train=_TRAIN,
    ),
}
_RECORDED |= {
    name: dataclasses.replace(_RECORDED["fine_tuning"], summary=summary, method=name, method_options=options)
    for name, summary, options in (
        ("online_ewc", "online EWC", online_ewc.Config(strength=1000.0, num_sequences=200)),
        ("si", "synaptic intelligence", si.Config(strength=1.0)),
        ("masking_si", "masking and SI", masking_si.Config(strength=1.0, fraction=0.6)),
        ("multitask", "all words at once", multitask.Config()),
        ("from_scratch", "a network of its own for each task", from_scratch.Config()),
    )
}
_RECORDED["from_scratch"] = dataclasses.replace(
    _RECORDED["from_scratch"], network=dataclasses.replace(_LSTM, heads="single")
)


def _starter(preset: Preset) -> Preset:
    """The same method on synthesised words."""
    return dataclasses.replace(
        preset,
        summary=f"{preset.summary}, synthesised words (no data needed)",
        data=speech_commands.Config(),
        train=_STARTER_TRAIN,
    )


PRESETS = _RECORDED | {f"starter_{name}": _starter(preset) for name, preset in _RECORDED.items()}

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--out runs/words", "learn synthesised words; no data needed"),
    ("--preset hnet --download --out runs/recordings", "fetch the recordings (2.5 GB) and learn them"),
    ("--method si --data.words-per-task 5", "another method, two tasks of five words"),
    ("--list-presets", "the presets"),
)

BENCHMARK = Benchmark("speech_commands", speech_commands, PRESETS, "fine_tuning", _EXAMPLES)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
