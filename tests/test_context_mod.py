"""Gains and shifts of a task really scale and shift the units, and a frozen network forgets nothing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import NetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.training.checkpoints import Checkpoints, restore
from tests import tiny

LAYERS = ("dense_before0", "recurrent0/forward", "dense_after0", "head")
DEEP = NetworkConfig(cell="elman", hidden_sizes=(7,), dense_before=(5,), dense_after=(4,))


def trainer_of(network=None, hypernetwork=None, **options):
    experiment = tiny.experiment("context_mod", hypernetwork=hypernetwork, train={"steps": 25}, **options)
    if network is not None:
        experiment = dataclasses.replace(experiment, network=network)
    return build_trainer(experiment, tiny.stream(3, validation=False))


def batch_of(trainer, task_id):
    return next(iter(trainer.method.setup.stream[task_id].test.in_order(40, task_id)))


def logits_of(trainer, task_id):
    batch = batch_of(trainer, task_id)
    return trainer.model(batch.inputs, batch.lengths, tf.constant(task_id)).logits.numpy()


def elman_by_hand(weights, inputs, gains, shifts, head):
    """Logits [B, T, C] of `DEEP`, with y = phi(g a + s) written out."""

    def dense(x, layer, phi):
        name = LAYERS[layer]
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        if name == "head":
            kernel, bias = kernel[head], bias[head]
        return phi(gains[layer] * (x @ kernel + bias) + shifts[layer])

    x = dense(inputs, 0, np.tanh)
    cell = {name.split("/")[-1]: value for name, value in weights.items() if name.startswith("recurrent0/forward")}
    state, outputs = np.zeros((len(x), 7)), []
    for t in range(x.shape[1]):
        sums = x[:, t] @ cell["kernel"] + state @ cell["recurrent_kernel"] + cell["bias"]
        state = np.tanh(gains[1] * sums + shifts[1])
        outputs.append(np.tanh(gains[1] * (state @ cell["output_kernel"] + cell["output_bias"]) + shifts[1]))
    return dense(dense(np.stack(outputs, 1), 2, np.tanh), 3, lambda a: a)


@pytest.mark.parametrize("kind", ["direct", "softplus"])
def test_gains_multiply_and_shifts_add(kind):
    trainer = trainer_of(DEEP, initial_std=0.7, gains=kind)
    source = trainer.model.source
    raw = source.context.stored.numpy().astype(np.float64)[1]
    pieces = np.split(raw, np.cumsum([size for size in (5, 7, 4, 3) for _ in range(2)])[:-1])
    gains = [1 + r if kind == "direct" else np.log1p(np.exp(r) * (np.e - 1)) for r in pieces[::2]]
    weights = {name: value.numpy().astype(np.float64) for name, value in source.shared(tf.constant(1)).items()}
    batch = batch_of(trainer, 1)
    expected = elman_by_hand(weights, batch.inputs.numpy(), gains, pieces[1::2], head=1)
    real = np.arange(6) < batch.lengths.numpy()[:, None]
    np.testing.assert_allclose(logits_of(trainer, 1)[real], expected[real], atol=2e-6)
    assert np.abs(logits_of(trainer, 1) - logits_of(trainer, 2)).max() > 0.1


@pytest.mark.parametrize("kind", ["direct", "softplus"])
def test_by_default_gains_start_at_1_and_shifts_at_0(kind):
    source = trainer_of(gains=kind).model.source
    for name, value in source.modulation(source.context(tf.constant(2))).items():
        np.testing.assert_allclose(value, 1.0 if name.endswith("gain") else 0.0, atol=1e-6)


def test_softplus_keeps_gains_positive():
    source = trainer_of(gains="softplus").model.source
    raw = {"head/gain": tf.constant([-30.0, 0.0, 30.0]), "head/shift": tf.constant([-30.0, 0.0, 30.0])}
    modulation = source.modulation(raw)
    assert (modulation["head/gain"].numpy() > 0).all()
    np.testing.assert_array_equal(modulation["head/shift"], raw["head/shift"])


@pytest.mark.parametrize("outputs", [True, False])
def test_outputs_are_modulated_only_where_wanted(outputs):
    names = trainer_of(outputs=outputs).model.source(tf.constant(0))
    assert ("head/gain" in names) == ("head/shift" in names) == outputs
    assert "recurrent0/forward/gain" in names


def test_initial_values_are_functions_of_the_seed_and_the_task():
    stored = [trainer_of(initial_std=std).model.source.context.stored.numpy() for std in (0.5, 1.0)]
    np.testing.assert_allclose(2 * stored[0], stored[1], rtol=1e-6)
    assert abs(stored[1].std() - 1) < 0.3
    assert np.abs(stored[1][0] - stored[1][1]).max() > 0.1


@pytest.mark.parametrize("heads", ["multi", "single"])
@pytest.mark.parametrize("train_network", ["always", "first_task"])
def test_old_tasks_keep_their_outputs_exactly_where_the_network_is_frozen(heads, train_network):
    network = NetworkConfig(cell="lstm", hidden_sizes=(8,), heads=heads)
    trainer = trainer_of(network, train_network=train_network)
    stream = trainer.method.setup.stream
    outputs, scores = [], []
    for task in stream:
        before = logits_of(trainer, task.task_id)
        trainer.fit(task)
        outputs.append(logits_of(trainer, task.task_id))
        assert np.abs(outputs[-1] - before).max() > 1e-2  # each task still learns
        scores.append(trainer.evaluate(task, task.test).loss)
    forgotten = [np.abs(logits_of(trainer, k) - outputs[k]).max() for k in range(3)]
    assert forgotten[2] == 0
    if train_network == "first_task":
        assert forgotten == [0, 0, 0]
        assert [trainer.evaluate(task, task.test).loss for task in stream] == scores
    else:
        assert min(forgotten[:2]) > 1e-2


def test_gains_of_other_tasks_stay_as_they_are():
    trainer = trainer_of(initial_std=0.1)
    stored = trainer.model.source.context.stored
    before = stored.numpy()
    trainer.fit(trainer.method.setup.stream[1])
    after = stored.numpy()
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert (after[1] != before[1]).any()


def test_a_checkpoint_brings_back_the_gains_of_every_task(tmp_path):
    trainer = trainer_of()
    for task in trainer.method.setup.stream:
        trainer.fit(task)
    checkpoints = Checkpoints(tmp_path, trainer)
    checkpoints.task_learned()
    restored = trainer_of()
    restore(checkpoints.latest(1), restored)
    for task_id in range(3):
        np.testing.assert_array_equal(logits_of(restored, task_id), logits_of(trainer, task_id))


def test_the_regularizer_is_the_mean_squared_distance_of_raw_gains_and_shifts():
    trainer = trainer_of(context="hypernetwork", strength=3.0)
    method, source = trainer.method, trainer.model.source.context
    assert float(method.weights_and_penalties(tf.constant(0), tf.constant(0))[1]["output_regularizer"]) == 0
    method.before_task(method.setup.stream[2])
    before = [source.generate(tf.constant([k])).numpy()[0] for k in range(2)]
    source.kernels[-1].assign_add(0.1 * tf.ones(source.kernels[-1].shape))
    after = [source.generate(tf.constant([k])).numpy()[0] for k in range(2)]
    expected = 3.0 * np.mean([np.sum((one - other) ** 2) for one, other in zip(before, after, strict=True)])
    received = method.weights_and_penalties(tf.constant(2), tf.constant(0))[1]["output_regularizer"]
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    assert expected > 0.1
    assert source.num_weights == 2 * (12 + 3)  # gains and shifts, and no other weights


def test_a_strong_regularizer_keeps_generated_gains():
    changes = []
    for strength in (0.0, 100.0):
        trainer = trainer_of(context="hypernetwork", strength=strength)
        first, second = trainer.method.setup.stream.tasks[:2]
        trainer.fit(first)
        before = trainer.model.source.context.generate(tf.constant([0]))
        trainer.fit(second)
        changes.append(float(tf.norm(trainer.model.source.context.generate(tf.constant([0])) - before)))
    assert changes[1] < 0.1 * changes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial_std": -1.0}, "initial_std must not be negative. Received: -1.0"),
        ({"initial_std": 1.0, "context": "hypernetwork"}, "initial_std is for context = stored"),
        ({"strength": -1.0}, "strength must not be negative. Received: -1.0"),
        ({"tasks_per_step": 0, "context": "hypernetwork"}, "tasks_per_step must be above 0"),
        ({"tasks_per_step": 1}, "is for context = hypernetwork. Received: 1, context = stored"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        tiny.experiment("context_mod", **options)


def test_hyperfan_is_refused_for_generated_gains():
    with pytest.raises(ConfigurationError, match="hypernetwork.initializer must be uniform for context_mod"):
        trainer_of(context="hypernetwork", hypernetwork={"initializer": "hyperfan_in"})
