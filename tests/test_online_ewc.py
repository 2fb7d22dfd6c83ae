"""Online EWC and the Fisher information it rests on."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig, NetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import online_ewc
from clrnn_tf.methods.base import MethodSetup
from clrnn_tf.methods.parts.fisher import FisherDiagonal
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weight_sources import SharedWeights
from clrnn_tf.outputs import OUTPUT_KINDS
from tests import golden, tiny

# V10: sums of the Fisher information by tensor, one bias where the published code has two alike, after task 0, and
# after task 1 when every published tensor i has moved by 0.1 * fill(70 + i); and the penalty of that move.
GOLDEN = {
    "elman": (
        {
            "kernel": (0.070250917, 0.126354795),
            "bias": (0.187734278, 0.196567015),
            "recurrent_kernel": (0.279503643, 0.328655568),
            "output_kernel": (0.848331005, 1.662038747),
            "output_bias": (0.889987202, 0.914659262),
            "head/kernel": (1.861675161, 2.238723862),
            "head/bias": (2.206737352, 2.208819748),
        },
        {
            "kernel": 0,
            "bias": 1,
            "recurrent_kernel": 2,
            "output_kernel": 4,
            "output_bias": 5,
            "head/kernel": 6,
            "head/bias": 7,
        },
        0.004365879,
    ),
    "lstm": (
        {
            "kernel": (0.012801699, 0.028701670),
            "bias": (0.018376441, 0.039052815),
            "recurrent_kernel": (0.002428485, 0.004792864),
            "head/kernel": (0.151854619, 0.279737507),
            "head/bias": (0.549907022, 1.102232580),
        },
        {"kernel": 0, "bias": 1, "recurrent_kernel": 2, "head/kernel": 4, "head/bias": 5},
        0.000757612,
    ),
}


def full(name):
    return name if name.startswith("head/") else f"recurrent0/forward/{name}"


def as_ours(published, shape):
    """A published tensor [out, in] in our layout; heads [K * C, F] as [K, F, C]."""
    if len(shape) == 3:
        return published.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)
    return published.T if published.ndim == 2 else published.reshape(shape)


def published_shape(shape):
    if len(shape) == 3:
        return (shape[0] * shape[2], shape[1])
    return shape[::-1] if shape[0] != 2 or len(shape) == 1 else (shape[0] * shape[1],)


@pytest.mark.parametrize("cell", GOLDEN)
def test_golden_fisher_and_penalty(cell):
    sums, indices, value = GOLDEN[cell]
    stream = golden.stream(2)
    network = RecurrentNetwork(NetworkConfig(cell=cell, hidden_sizes=(4,)), 3, 2, 2)
    make = golden.Filled()
    layer = golden.elman_weights if cell == "elman" else golden.lstm_weights
    weights = layer(make, "recurrent0/forward", 3, 4)
    head_kernel, head_bias = make(4, 4), make(4)
    weights["head/kernel"] = as_ours(head_kernel, (2, 4, 2))
    weights["head/bias"] = head_bias.reshape(2, 2)
    method = online_ewc.OnlineEWC(
        MethodSetup(network, HypernetworkConfig(), stream, 0, online_ewc.Config(strength=1.0), jit=False)
    )
    names = [spec.name for spec in network.weight_specs]
    for spec, tensor in zip(network.weight_specs, method.source.tensors, strict=True):
        tensor.assign(weights[spec.name])
    model = TaskModel(network, method.source, "softmax")

    def check_sums(task_id):
        for name, expected in sums.items():
            measured = method.fisher[names.index(full(name))].numpy().sum()
            np.testing.assert_allclose(measured, expected[task_id], rtol=3e-6)

    method.after_task(stream[0], model)
    check_sums(0)
    for name, index in indices.items():
        tensor = method.source.tensors[names.index(full(name))]
        change = as_ours(golden.fill(70 + index, published_shape(tuple(tensor.shape))), tuple(tensor.shape))
        tensor.assign_add(0.1 * change)
    bias = names.index(full("bias"))
    second_bias = 0.1 * golden.fill(73, tuple(method.source.tensors[bias].shape))  # the published b_hh moves as well
    extra = 0.5 * np.sum(method.fisher[bias].numpy() * second_bias**2)
    penalty = method.weights_and_penalties(tf.constant(1), tf.constant(0))[1]["ewc_penalty"]
    np.testing.assert_allclose(float(penalty) + extra, value, rtol=2e-5)
    method.source.tensors[bias].assign_add(second_bias)
    method.after_task(stream[1], model)
    check_sums(1)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_fisher_equals_a_loop_over_sequences(loss, direction):
    task = tiny.stream(2, loss=loss)[1]
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,), direction=direction), 3, 3, 2)
    model = TaskModel(network, SharedWeights(network.weight_specs, seed=3), loss)
    number = 25
    measure = FisherDiagonal(model, "data", None, seed=7, jit=False, num_sequences=number)
    measure.batch_size = 9
    measured = measure.measure(task)
    weights = model.source(tf.constant(1))
    sums = dict.fromkeys(weights, 0.0)
    indices = tf.concat([task.train.epoch_order(epoch, 7, 1, 9) for epoch in range(3)], 0).numpy()[:number]
    assert len(set(indices)) == number
    rows = {int(i): batch for i, batch in enumerate(task.train.in_order(1, 1))}
    order = np.argsort(task.train._arrays["lengths"], kind="stable")
    position = {int(example): place for place, example in enumerate(order)}
    for index in indices:
        batch = rows[position[int(index)]]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits = network(weights, batch.inputs, batch.lengths, tf.constant(1)).logits
            nll = tf.reduce_sum(OUTPUT_KINDS[loss].sequence_losses(logits, batch.targets, batch.loss_weights))
        for name, gradient in tape.gradient(nll, weights).items():
            sums[name] += gradient.numpy() ** 2 / number
    for name, expected in sums.items():
        np.testing.assert_allclose(measured[name], expected, rtol=2e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("number", "share"), [(None, 64), (200, 50), (64, 64), (65, 34), (1, 2)])
def test_batches_are_equal_shares_of_the_sequences(number, share):
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,)), 3, 3, 1)
    model = TaskModel(network, SharedWeights(network.weight_specs, seed=3), "softmax")
    assert FisherDiagonal(model, "data", None, seed=7, jit=False, num_sequences=number).batch_size == share


def test_sampled_labels_and_truncation_change_the_measure_and_are_repeatable():
    task = tiny.stream(1)[0]
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,)), 3, 3, 1)
    model = TaskModel(network, SharedWeights(network.weight_specs, seed=3), "softmax")
    kernel = "recurrent0/forward/kernel"

    def measured(labels="data", truncate=None):
        return FisherDiagonal(model, labels, truncate, seed=7, jit=False).measure(task)[kernel].numpy()

    assert np.abs(measured("sampled") - measured()).max() > 1e-4 * measured().max()
    np.testing.assert_array_equal(measured("sampled"), measured("sampled"))
    assert not measured(truncate=0).any()
    np.testing.assert_allclose(measured(truncate=100), measured(), rtol=1e-5)


def test_gamma_fades_earlier_tasks_once_per_task():
    stream = tiny.stream(2)
    kept = {}
    for gamma in (0.0, 0.5, 1.0):
        trainer = build_trainer(tiny.experiment("online_ewc", strength=0.0, gamma=gamma, train={"steps": 2}), stream)
        fishers = []
        for task in stream:
            trainer.fit(task)
            fishers.append(trainer.method.fisher[0].numpy())
        kept[gamma] = fishers
    first, second = kept[0.0]
    np.testing.assert_allclose(kept[0.5][1], second + 0.5 * first, rtol=1e-5)
    np.testing.assert_allclose(kept[1.0][1], second + first, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1.0}, "online_ewc.strength must not be negative"),
        ({"gamma": 1.5}, r"online_ewc.gamma must be in \[0, 1\]. Received: 1.5"),
        ({"num_sequences": 0}, "online_ewc.num_sequences must be at least 1, or None. Received: 0"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ConfigurationError, match=message):
        online_ewc.Config(**options)


def test_sampling_needs_probabilities():
    with pytest.raises(ConfigurationError, match="sampled needs outputs that are probabilities. Received: linear"):
        build_trainer(tiny.experiment("online_ewc", labels="sampled"), tiny.stream(1, loss="linear"))
