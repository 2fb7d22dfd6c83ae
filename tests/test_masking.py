"""Masked units are really off, and other tasks' masks are others."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import masking
from tests import tiny

NETWORKS = {
    "elman": {},
    "lstm, two layers": {"cell": "lstm", "hidden_sizes": (6, 10)},
    "bidirectional": {"cell": "lstm", "hidden_sizes": (8,), "direction": "bidirectional"},
}


def model_of(network, fraction=0.5, seed=0):
    defaults = {"cell": "elman", "hidden_sizes": (12,)}
    experiment = tiny.experiment("masking", seed=seed, fraction=fraction)
    stream = tiny.stream(3)
    experiment = dataclasses.replace(
        experiment, network=dataclasses.replace(experiment.network, **{**defaults, **network})
    )
    return build_trainer(experiment, stream).model, stream


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_masked_units_are_zero_and_the_others_are_not(network):
    model, stream = model_of(network)
    batch = next(iter(stream[1].test.in_order(20, 1)))
    hidden = model(batch.inputs, batch.lengths, tf.constant(1)).hidden
    gains = [value for name, value in model.source(tf.constant(1)).items() if name.endswith("/gain")]
    layers = [tf.concat(gains, 0)] if len(hidden) == 1 else gains
    for outputs, gain in zip(hidden, layers, strict=True):
        silent = gain.numpy() == 0
        assert silent.sum() == len(silent) // 2
        assert not outputs.numpy()[:, :, silent].any()
        assert (np.abs(outputs.numpy()[:, :, ~silent]).max(axis=(0, 1)) > 0).all()


def test_masks_differ_by_task_layer_and_seed_and_have_the_wanted_size():
    model, _ = model_of(NETWORKS["bidirectional"], fraction=0.3)
    gains = [model.source(tf.constant(task_id)) for task_id in range(3)]
    forward, backward = (f"recurrent0/{direction}/gain" for direction in ("forward", "backward"))
    for weights in gains:
        assert weights[forward].numpy().sum() == 8 - int(0.3 * 8)
    rows = [weights[name].numpy() for weights in gains for name in (forward, backward)]
    assert len({tuple(row) for row in rows}) > 3
    other, _ = model_of(NETWORKS["bidirectional"], fraction=0.3, seed=1)
    rows_of_other = [other.source(tf.constant(k))[name].numpy() for k in range(3) for name in (forward, backward)]
    assert any((a != b).any() for a, b in zip(rows, rows_of_other, strict=True))


@pytest.mark.parametrize("method", ["masking", "masking_si", "masking_ewc"])
def test_bad_fractions_are_refused(method):
    with pytest.raises(ConfigurationError, match=rf"{method}.fraction must be in \[0, 1\). Received: 1.0"):
        tiny.experiment(method, fraction=1.0)


def test_the_default_is_the_published_fraction():
    assert masking.Config().fraction == 0.8
