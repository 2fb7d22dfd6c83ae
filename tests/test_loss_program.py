import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.execution.loss_program import LossProgram, with_gradients


def loss(weights, x, scale):
    y = tf.tanh(tf.matmul(x, weights["kernel"]) + weights["bias"])
    return scale * tf.reduce_sum(tf.square(y)), tf.reduce_max(y)


def draw(*shape):
    return tf.constant(np.random.default_rng(shape).normal(size=shape).astype(np.float32))


WEIGHTS = {"kernel": draw(3, 2), "bias": draw(2), "unused": draw(4)}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("num_trained", [1, 2])
@pytest.mark.parametrize("graph", [False, True])
def test_values_and_gradients_are_those_of_the_function(jit, num_trained, graph):
    program, x = LossProgram(loss, jit, num_trained), draw(5, 3)

    def differentiate(function):
        with tf.GradientTape() as tape:
            tape.watch([WEIGHTS, x])
            value, other = function(WEIGHTS, x, 2.0)
            total = 3.0 * value
        return value, other, tape.gradient(total, [WEIGHTS, x])

    values = (tf.function(differentiate) if graph else differentiate)(program)
    expected = differentiate(loss)
    for one, other in zip(values[:2], expected[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    of_weights, of_x = values[2]
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(of_weights[name], expected[2][0][name], rtol=1e-5, atol=1e-5)
    assert not np.any(of_weights["unused"])
    if num_trained == 1:
        assert of_x is None
    else:
        np.testing.assert_allclose(of_x, expected[2][1], rtol=1e-5, atol=1e-5)


def test_further_values_pass_no_gradient_on():
    program = LossProgram(loss, jit=False)
    with tf.GradientTape() as tape:
        tape.watch(WEIGHTS)
        _, other = program(WEIGHTS, draw(5, 3), 2.0)
    assert not np.any(tape.gradient(other, WEIGHTS)["kernel"])


def test_the_program_is_traced_once():
    program = LossProgram(loss, jit=True)
    for seed in range(3):
        with tf.GradientTape() as tape:
            tape.watch(WEIGHTS)
            value, _ = program(WEIGHTS, draw(5, 3) + float(seed), tf.constant(2.0))
        tape.gradient(value, WEIGHTS)
    assert program.program.experimental_get_tracing_count() == 1


def test_known_gradients():
    variable = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        value = 3.0 * with_gradients(tf.constant(5.0), [tf.constant([7.0, 8.0])], [variable])
    assert float(value) == 15.0
    np.testing.assert_array_equal(tape.gradient(value, variable), [21.0, 24.0])
