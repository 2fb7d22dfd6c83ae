"""Hand-written gradients against automatic differentiation, finite differences and loops over single sequences."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import NetworkConfig
from clrnn_tf.networks.cells import CELLS, Cell, ElmanCell, LSTMCell
from clrnn_tf.networks.linear import SQUARED_PER_SEQUENCE, SUMMED
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weights import WeightSpec, initial_value

LENGTHS = [6, 1, 4]


def network_of(cell, hidden=(4,), tasks=1, **options):
    config = NetworkConfig(cell=cell, hidden_sizes=hidden, **options)
    return RecurrentNetwork(config, num_features=3, num_outputs=2, num_tasks=tasks)


def weights_of(network, dtype=tf.float64):
    return {
        spec.name: tf.constant(initial_value(spec, 0, index), dtype) for index, spec in enumerate(network.weight_specs)
    }


def modulation_of(network, dtype=tf.float64):
    generator = np.random.default_rng(4)
    specs = [*network.modulation_specs, *network.head_modulation_specs]
    return {spec.name: tf.constant(generator.normal(size=spec.shape) + (spec.kind == "gain"), dtype) for spec in specs}


def normal(*shape, seed=2, dtype=tf.float64):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), dtype)


def some_loss(logits, states):
    factors = normal(*logits.shape, seed=3, dtype=logits.dtype)
    return tf.reduce_sum(logits * factors) + sum(tf.reduce_sum(tf.sin(state)) for state in states)


def gradients_of(loss, weights, x):
    with tf.GradientTape() as tape:
        tape.watch([weights, x])
        value = loss(weights, x)
    by_weight, by_input = tape.gradient(value, [weights, x], unconnected_gradients="zero")
    return {**by_weight, "inputs": by_input}


def assert_equal(actual, expected, **tolerance):
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], err_msg=name, **tolerance)


def plain_network(network, weights, x, lengths, truncate=None):
    """One recurrent layer and a head as a Python loop over single steps, differentiated by TensorFlow."""
    detached = 0 if truncate is None else max(x.shape[1] - truncate, 0)
    outputs, states = [], []
    (layer,) = network.recurrent
    for direction, scope in layer.scopes.items():
        sequence = tf.reverse_sequence(x, lengths, 1, 0) if direction == "backward" else x
        output, state = plain_direction(layer.cell, weights, scope, sequence, detached)
        if direction == "backward":
            output, state = (tf.reverse_sequence(each, lengths, 1, 0) for each in (output, state))
        outputs.append(output)
        states.append(state)
    features = tf.concat(outputs, -1) * tf.sequence_mask(lengths, x.shape[1], x.dtype)[..., None]
    logits = features @ weights["head/kernel"][0] + weights["head/bias"][0]
    return logits * weights.get("head/gain", 1) + weights.get("head/shift", 0), states


def plain_direction(cell, weights, scope, sequence, detached):
    def modulate(value):
        return value * weights.get(f"{scope}/gain", 1) + weights.get(f"{scope}/shift", 0)

    hidden = state = tf.zeros([sequence.shape[0], cell.num_units], sequence.dtype)
    history, state_history = [], []
    for step in range(sequence.shape[1]):
        sums = (
            sequence[:, step] @ weights[f"{scope}/kernel"]
            + weights[f"{scope}/bias"]
            + hidden @ weights[f"{scope}/recurrent_kernel"]
        )
        if isinstance(cell, LSTMCell):
            i, f, g, o = tf.split(sums, 4, axis=1)
            state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
            hidden = output = tf.sigmoid(o) * cell.activation.apply(modulate(state))
        else:
            hidden = state = cell.activation.apply(modulate(sums))
            output = hidden @ weights[f"{scope}/output_kernel"] + weights[f"{scope}/output_bias"]
            output = cell.activation.apply(modulate(output))
        if step < detached:
            hidden, state, output = (tf.stop_gradient(each) for each in (hidden, state, output))
        history.append(output)
        state_history.append(state)
    return tf.stack(history, 1), tf.stack(state_history, 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 2e-5), (tf.float64, 1e-12)])
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_hand_written_gradient_equals_automatic_differentiation(cell, activation, modulated, dtype, tolerance):
    network = network_of(cell, direction="bidirectional", activation=activation)
    weights = {**weights_of(network, dtype), **(modulation_of(network, dtype) if modulated else {})}
    x, lengths = normal(3, 6, 3, dtype=dtype), tf.constant(LENGTHS)

    def by_hand(weights, x):
        outputs = network(weights, x, lengths, tf.constant(0))
        return some_loss(outputs.logits, outputs.states)

    actual = gradients_of(by_hand, weights, x)
    automatic = gradients_of(lambda weights, x: some_loss(*plain_network(network, weights, x, lengths)), weights, x)
    assert all(gradient.dtype == dtype for gradient in actual.values())
    assert_equal(actual, automatic, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_hand_written_gradient_equals_central_differences(cell, activation):
    network = network_of(
        cell, (4, 5), direction="bidirectional", activation=activation, dense_before=(2,), dense_after=(7,)
    )
    weights, lengths = {**weights_of(network), **modulation_of(network)}, tf.constant(LENGTHS)

    @tf.function
    def loss(weights, x):
        outputs = network(weights, x, lengths, tf.constant(0))
        return some_loss(outputs.logits, outputs.states)

    x = normal(3, 6, 3)
    gradients = gradients_of(loss, weights, x)
    for seed, name in enumerate(weights):
        step = 1e-5 * normal(*weights[name].shape, seed=seed)
        more, less = (loss({**weights, name: weights[name] + sign * step}, x) for sign in (1, -1))
        expected = tf.reduce_sum(gradients[name] * step)
        np.testing.assert_allclose((more - less) / 2, expected, rtol=1e-6, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"truncate": 2}, {"per_sequence_squares": True}], ids=["plain", "truncated", "squares"]
)
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_compiled_gradient_equals_the_eager_one(cell, options, jit):
    network = network_of(cell, direction="bidirectional")
    weights = {**weights_of(network, tf.float32), **modulation_of(network, tf.float32)}
    x, lengths = normal(3, 6, 3, dtype=tf.float32), tf.constant(LENGTHS)

    def gradient():
        def loss(weights, x):
            return tf.reduce_sum(tf.sin(network(weights, x, lengths, tf.constant(0), **options).logits))

        return gradients_of(loss, weights, x)

    assert_equal(tf.function(gradient, jit_compile=jit)(), gradient(), atol=1e-4)


@pytest.mark.parametrize("last_steps", [1, 2, 6])
@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
@pytest.mark.parametrize("options", [{}, {"truncate": 4}, {"per_sequence_squares": True}])
def test_the_last_steps_alone_are_those_of_all_steps(cell, direction, options, last_steps):
    network = network_of(cell, hidden=(4, 5), direction=direction, dense_after=(3,))
    weights, x, lengths = weights_of(network), normal(3, 6, 3), tf.constant(LENGTHS)
    whole = network(weights, x, lengths, tf.constant(0), **options)
    end = network(weights, x, lengths, tf.constant(0), last_steps=last_steps, **options)
    for one, other in ((end.logits, whole.logits), (end.features, whole.features), (end.hidden[1], whole.hidden[1])):
        np.testing.assert_allclose(one, other[:, -last_steps:], rtol=1e-12)
    assert end.hidden[0].shape == whole.hidden[0].shape

    def loss_of(**more):
        def loss(weights, x):
            logits = network(weights, x, lengths, tf.constant(0), **options, **more).logits
            return tf.reduce_sum(tf.sin(logits[:, -last_steps:]))

        return loss

    assert_equal(
        gradients_of(loss_of(last_steps=last_steps), weights, x), gradients_of(loss_of(), weights, x), rtol=1e-10
    )


@pytest.mark.parametrize("name", ["gain", "shift"])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_a_gain_or_shift_may_come_alone_and_for_one_direction(cell, name):
    network = network_of(cell, direction="bidirectional")
    weights, x, lengths = weights_of(network), normal(3, 6, 3), tf.constant(LENGTHS)
    weights[f"recurrent0/backward/{name}"] = modulation_of(network)[f"recurrent0/backward/{name}"]

    def by_hand(weights, x):
        outputs = network(weights, x, lengths, tf.constant(0))
        return some_loss(outputs.logits, outputs.states)

    automatic = gradients_of(lambda weights, x: some_loss(*plain_network(network, weights, x, lengths)), weights, x)
    assert_equal(gradients_of(by_hand, weights, x), automatic, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("truncate", "maps"), [(None, SUMMED), (2, SUMMED), (None, SQUARED_PER_SEQUENCE)])
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("cell", [ElmanCell(4, "relu"), LSTMCell(4)], ids=["elman", "lstm"])
def test_unrolling_by_hand_equals_that_of_any_cell(cell, modulated, truncate, maps):
    weights = {spec.name: normal(*spec.shape, seed=index) for index, spec in enumerate(cell.weight_specs(3))}
    if modulated:
        weights |= {"gain": normal(4, seed=8), "shift": normal(4, seed=9)}

    def gradients(unroll):
        def loss(weights, x):
            hidden, state = unroll(weights, x, maps, truncate)
            return tf.reduce_sum(tf.sin(hidden) + tf.cos(2 * state))

        values = gradients_of(loss, weights, normal(6, 3, 3))  # gains and shifts are constants where squares are summed
        return {name: value for name, value in values.items() if maps is SUMMED or name not in ("gain", "shift")}

    assert_equal(gradients(cell.unroll), gradients(partial(Cell.unroll, cell)), rtol=1e-10, atol=1e-12)


class GRUCell(Cell):
    """(r, u) = sigmoid(z + h U),  n = tanh(z_n + r (h U)_n),  h_t = m(u h + (1 - u) n): a whole cell."""

    def weight_specs(self, num_inputs, fan=None):
        wide, bound = 3 * self.num_units, (fan or num_inputs) ** -0.5
        return [
            WeightSpec("kernel", (num_inputs, wide), "kernel", num_inputs, bound),
            WeightSpec("recurrent_kernel", (self.num_units, wide), "recurrent", self.num_units, bound),
            WeightSpec("bias", (wide,), "bias", num_inputs, bound),
        ]

    def step(self, projected, product, state, modulation=None):
        r, u = tf.split(tf.sigmoid((projected + product)[:, : 2 * self.num_units]), 2, axis=-1)
        n = tf.tanh(projected[:, 2 * self.num_units :] + r * product[:, 2 * self.num_units :])
        hidden = u * state[0] + (1.0 - u) * n
        return (hidden if modulation is None else modulation.apply(hidden),)


def plain_gru(weights, scope, sequence):
    hidden, history = tf.zeros([sequence.shape[0], 4], sequence.dtype), []
    kernel, recurrent, bias = (weights[f"{scope}/{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
    for step in range(sequence.shape[1]):
        z, h = tf.split(sequence[:, step] @ kernel + bias, 3, 1), tf.split(hidden @ recurrent, 3, 1)
        r, u = tf.sigmoid(z[0] + h[0]), tf.sigmoid(z[1] + h[1])
        hidden = u * hidden + (1 - u) * tf.tanh(z[2] + r * h[2])
        hidden = hidden * weights.get(f"{scope}/gain", 1) + weights.get(f"{scope}/shift", 0)
        history.append(hidden)
    return tf.stack(history, 1)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("modulated", [False, True])
def test_a_new_cell_needs_weights_and_a_step_only(monkeypatch, modulated, jit):
    monkeypatch.setitem(CELLS, "gru", GRUCell)
    network = network_of("gru", direction="bidirectional")
    weights = {**weights_of(network), **(modulation_of(network) if modulated else {})}
    x, lengths = normal(3, 6, 3), tf.constant(LENGTHS)

    def by_network(weights, x):
        outputs = network(weights, x, lengths, tf.constant(0))
        return some_loss(outputs.logits, outputs.states)

    def by_loop(weights, x):
        forward = plain_gru(weights, "recurrent0/forward", x)
        backward = plain_gru(weights, "recurrent0/backward", tf.reverse_sequence(x, lengths, 1, 0))
        backward = tf.reverse_sequence(backward, lengths, 1, 0)
        features = tf.concat([forward, backward], -1) * tf.sequence_mask(lengths, 6, x.dtype)[..., None]
        logits = features @ weights["head/kernel"][0] + weights["head/bias"][0]
        return some_loss(logits * weights.get("head/gain", 1) + weights.get("head/shift", 0), [forward, backward])

    actual = tf.function(lambda: gradients_of(by_network, weights, x), jit_compile=jit)()
    assert_equal(actual, gradients_of(by_loop, weights, x), rtol=1e-10, atol=1e-12)


def test_squares_of_a_new_cell_equal_a_loop_over_sequences(monkeypatch):
    monkeypatch.setitem(CELLS, "gru", GRUCell)
    check_squares({"cell": "gru", "hidden": (4, 5)}, 1, False, tf.float64, 1e-10)


def test_a_cell_without_a_step_is_refused(monkeypatch):
    class Weights(Cell):
        weight_specs = GRUCell.weight_specs

    monkeypatch.setitem(CELLS, "weights", Weights)
    with pytest.raises(TypeError, match="abstract method '?step"):
        network_of("weights")


NETWORKS = {
    "elman": {"cell": "elman"},
    "lstm": {"cell": "lstm", "hidden": (4, 5)},
    "bidirectional lstm": {"cell": "lstm", "direction": "bidirectional", "dense_before": (2,), "dense_after": (7,)},
    "bidirectional elman": {"cell": "elman", "direction": "bidirectional"},
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 1e-5), (tf.float64, 1e-10)])
@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("heads", [1, (2, 0, 2)], ids=["one head", "a head each"])
@pytest.mark.parametrize("options", NETWORKS.values(), ids=list(NETWORKS))
def test_squares_equal_a_loop_over_sequences(options, heads, modulated, dtype, tolerance):
    check_squares(options, heads, modulated, dtype, tolerance)


def check_squares(options, heads, modulated, dtype, tolerance):
    network = network_of(**options, tasks=3)
    weights = weights_of(network, dtype)
    modulation = modulation_of(network, dtype) if modulated else {}
    x, targets = normal(3, 6, 3, dtype=dtype), normal(3, 6, 2, seed=5, dtype=dtype)

    def gradient(rows, **options):
        def loss(weights, x):
            head_ids = tf.constant(heads if isinstance(heads, int) else heads[rows])
            outputs = network({**weights, **modulation}, x, tf.constant(LENGTHS[rows]), head_ids, **options)
            mask = tf.sequence_mask(LENGTHS[rows], 6, dtype)[..., None]
            return tf.reduce_sum(tf.square(outputs.logits - targets[rows]) * mask)

        return gradients_of(loss, weights, x[rows])

    squares, ordinary = gradient(slice(None), per_sequence_squares=True), gradient(slice(None))
    np.testing.assert_allclose(squares.pop("inputs"), ordinary["inputs"], rtol=tolerance, atol=tolerance)
    one_by_one = [gradient(slice(row, row + 1)) for row in range(3)]
    for name, value in squares.items():
        expected = sum(np.square(each[name]) for each in one_by_one)
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance * expected.max(), err_msg=name)


@pytest.mark.parametrize("truncate", [0, 1, 3, 5])
@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_truncated_gradient_equals_automatic_differentiation_of_detached_steps(cell, truncate):
    network = network_of(cell, direction="bidirectional")
    weights = {**weights_of(network), **modulation_of(network)}
    x, lengths = normal(3, 6, 3), tf.constant(LENGTHS)

    def by_hand(weights, x):
        outputs = network(weights, x, lengths, tf.constant(0), truncate=truncate)
        return some_loss(outputs.logits, outputs.states)

    def automatic(weights, x):
        return some_loss(*plain_network(network, weights, x, lengths, truncate))

    assert_equal(gradients_of(by_hand, weights, x), gradients_of(automatic, weights, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", ["elman", "lstm"])
@pytest.mark.parametrize("truncate", [6, 99])
def test_truncation_beyond_the_length_changes_nothing(cell, truncate):
    network = network_of(cell)
    weights, x, lengths = weights_of(network), normal(3, 6, 3), tf.constant(LENGTHS)

    def loss_of(**options):
        return lambda weights, x: some_loss(network(weights, x, lengths, tf.constant(0), **options).logits, ())

    assert_equal(gradients_of(loss_of(truncate=truncate), weights, x), gradients_of(loss_of(), weights, x), rtol=1e-12)
