"""Part-of-speech tagging, one language after another: ``python -m trainers.pos_tagging``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import fine_tuning, hnet
from data_pipelines import pos_tagging
from trainers.presets import Benchmark, Expected, Preset
from trainers.run import main

_PUBLISHED = "published README of Ehret et al. 2021, on larger treebanks and with Polyglot vectors"
_BILSTM = NetworkConfig(cell="lstm", hidden_sizes=(32,), direction="bidirectional")

_HNET = Preset(
    summary="HNET on every language found, in the paper's order",
    method="hnet",
    method_options=hnet.Config(strength=0.5),
    data=pos_tagging.Config(),
    network=_BILSTM,
    hypernetwork=HypernetworkConfig(
        chunk_size=190, hidden_sizes=(75, 125), task_embedding_size=32, chunk_embedding_size=8, activation="sigmoid"
    ),
    train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-3),
    published_settings="MH chunk=190 beta=0.5 K=20 bs=64 it=2500 lr=0.005 rnn=32 hnet=75,125 temb=32 cemb=8 sigmoid",
    expected=Expected(89.83, 89.30, _PUBLISHED),
)
_FINE_TUNING = Preset(
    summary="fine-tuning on every language found, in the paper's order",
    method="fine_tuning",
    method_options=fine_tuning.Config(),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(
        steps=2_500, batch_size=64, learning_rate=5e-4, clip_norm=100.0, orthogonal_strength=1.0
    ),
    published_settings="MH K=20 bs=64 it=2500 lr=0.0005 clip=100 rnn=32 orth=1",
    expected=Expected(91.64, 49.11, _PUBLISHED),
)

PRESETS = {
    "hnet": _HNET,
    "hnet_backward": dataclasses.replace(
        _HNET,
        summary="HNET with a right-to-left LSTM alone: what the published code really trains",
        network=dataclasses.replace(_BILSTM, direction="backward"),
    ),
    "fine_tuning": _FINE_TUNING,
    "starter_hnet": dataclasses.replace(
        _HNET,
        summary="HNET on the embedded starter treebank (no data needed)",
        train=TrainConfig(steps=400, batch_size=32, learning_rate=5e-3, validate_every=100),
        published_settings="",
        expected=None,
    ),
    "starter_fine_tuning": dataclasses.replace(
        _FINE_TUNING,
        summary="fine-tuning on the embedded starter treebank (no data needed)",
        train=TrainConfig(steps=400, batch_size=32, learning_rate=5e-3, validate_every=100),
        published_settings="",
        expected=None,
    ),
}

_EXAMPLES = """Examples:
  python -m trainers.pos_tagging
  python -m trainers.pos_tagging --data-dir DIR --preset hnet --out runs/pos_hnet
  python -m trainers.pos_tagging --data-dir DIR --method fine_tuning --data.languages en de fr
  python -m trainers.pos_tagging --out runs/pos_hnet --resume"""

BENCHMARK = Benchmark("pos_tagging", pos_tagging, PRESETS, _EXAMPLES, uses_data=True)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
