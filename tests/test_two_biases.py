"""`network.biases: two`: the published second bias of each recurrent sum."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import NetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.networks.cells import CELLS, Cell
from clrnn_tf.networks.layers import RecurrentLayer
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weights import WeightSpec, initial_value, total_size


def weights_of(network):
    return {
        spec.name: tf.constant(initial_value(spec, 0, index), tf.float64)
        for index, spec in enumerate(network.weight_specs)
    }


@pytest.mark.parametrize(
    ("options", "features", "outputs", "tasks", "published"),
    [
        ({"cell": "elman"}, 8, 7, 5, 142_883),
        ({"cell": "lstm"}, 4, 2, 5, 270_858),
        ({"cell": "lstm", "hidden_sizes": (32,)}, 128, 10, 10, 24_036),
        ({"cell": "lstm", "hidden_sizes": (32,), "direction": "bidirectional"}, 64, 17, 20, 47_188),
    ],
)
def test_sizes_are_the_published_ones(options, features, outputs, tasks, published):
    network = RecurrentNetwork(NetworkConfig(**options, biases="two"), features, outputs, tasks)
    assert total_size(network.weight_specs) == published
    second = next(spec for spec in network.weight_specs if spec.name.endswith("forward/recurrent_bias"))
    assert second.bound == pytest.approx(network.config.hidden_sizes[0] ** -0.5)


@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_two_biases_are_their_sum_and_each_has_its_gradient(cell, squares):
    settings = {"cell": cell, "hidden_sizes": (4,), "direction": "bidirectional"}
    one, two = (RecurrentNetwork(NetworkConfig(**settings, biases=number), 3, 2, 1) for number in ("one", "two"))
    weights = weights_of(two)
    summed = {
        name: value + weights[name.replace("bias", "recurrent_bias")]
        if name.startswith("recurrent") and name.endswith("/bias")
        else value
        for name, value in weights.items()
        if not name.endswith("recurrent_bias")
    }
    x = tf.constant(np.random.default_rng(2).normal(size=(3, 6, 3)))

    def gradients(network, weights):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            outputs = network(weights, x, tf.constant([6, 1, 4]), tf.constant(0), per_sequence_squares=squares)
            loss = tf.reduce_sum(tf.sin(outputs.logits) if not squares else outputs.logits)
        return outputs.logits, tape.gradient(loss, weights)

    (logits, expected), (actual_logits, actual) = gradients(one, summed), gradients(two, weights)
    np.testing.assert_allclose(actual_logits, logits, rtol=1e-12)
    for name, gradient in actual.items():
        np.testing.assert_allclose(gradient, expected[name.replace("recurrent_bias", "bias")], rtol=1e-9, err_msg=name)


def test_a_cell_without_a_bias_is_refused(monkeypatch):
    class NoBias(Cell):
        def weight_specs(self, num_inputs, fan=None):
            return [WeightSpec("kernel", (num_inputs, self.num_units), "kernel", num_inputs, 0.1)]

        def step(self, projected, product, state, modulation=None):
            return (projected + product,)

    monkeypatch.setitem(CELLS, "none", NoBias)
    layer = RecurrentLayer("recurrent0", NoBias(4), ("forward",), "two")
    with pytest.raises(ConfigurationError, match="network.biases two needs a cell with a bias"):
        layer.weight_specs(3)
