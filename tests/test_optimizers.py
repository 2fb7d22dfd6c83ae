import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.optimizers import Adam, clip_by_global_norm, learning_rate_at
from clrnn_tf.outputs import OUTPUT_KINDS
from tests import golden
from tests.test_network import network_of


def step(optimizer, gradients, learning_rate=0.01, accept=True):
    optimizer.apply([tf.constant(g) for g in gradients], tf.constant(learning_rate), tf.constant(accept))


def test_golden_adam_step_with_coupled_decay():
    """V12. The two published biases get equal gradients but different decay, so each is a variable of its own here."""
    make = golden.Filled()
    shapes = [(4, 3), (4,), (4, 4), (4,), (4, 4), (4,), (2, 4), (2,)]
    published = [tf.Variable(make(*shape), dtype=tf.float64) for shape in shapes]
    network = network_of("elman", (4,), 3, 2)
    labels = tf.constant(np.array([[0, 1], [1, 1], [1, 0]]).T)
    with tf.GradientTape() as tape:
        w_ih, b_ih, w_hh, b_hh, w_ho, b_ho, w_out, b_out = published
        weights = {
            "recurrent0/forward/kernel": tf.transpose(w_ih),
            "recurrent0/forward/bias": b_ih + b_hh,
            "recurrent0/forward/recurrent_kernel": tf.transpose(w_hh),
            "recurrent0/forward/output_kernel": tf.transpose(w_ho),
            "recurrent0/forward/output_bias": b_ho,
            "head/kernel": tf.transpose(w_out)[tf.newaxis],
            "head/bias": b_out[tf.newaxis],
        }
        logits = network(weights, tf.constant(golden.inputs()), tf.constant([3, 3]), tf.constant(0)).logits
        loss = tf.reduce_mean(OUTPUT_KINDS["softmax"].sequence_losses(logits, labels, tf.ones([2, 3], tf.float64)))
    gradients = tape.gradient(loss, published)
    variables = [tf.Variable(tf.cast(variable, tf.float32)) for variable in published]
    step(Adam(variables, TrainConfig(l2=0.1)), [tf.cast(g, tf.float32) for g in gradients])
    expected = [0.25035859, 0.478116363, 0.045007933, -1.390260803, 0.273423533, 1.755930237, -1.681470546, -0.7450533]
    np.testing.assert_allclose([tf.reduce_sum(variable) for variable in variables], expected, atol=2e-6)


def reference(x, gradients, rate=0.01, beta1=0.9, decay=0.0):
    m = v = 0.0
    for k, g in enumerate(gradients, start=1):
        m, v = beta1 * m + (1 - beta1) * g, 0.999 * v + 0.001 * g**2
        x = x - rate * (m / (1 - beta1**k) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8) + decay * x)
    return x


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_equal_the_equations_also_for_tiny_gradients(decay):
    variable = tf.Variable([1.0, -2.0])
    optimizer = Adam([variable], TrainConfig(weight_decay=decay, adam_beta1=0.8))
    gradients = [np.array([1e-7, 3.0]), np.array([-2e-7, 0.5]), np.array([1e-9, 0.1])]
    for gradient in gradients:
        step(optimizer, [gradient.astype(np.float32)])
    expected = reference(np.array([1.0, -2.0]), gradients, beta1=0.8, decay=decay)
    np.testing.assert_allclose(variable, expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{"l2": 0.1}, {"weight_decay": 0.1}])
def test_decay_leaves_entries_alone_that_never_had_a_gradient(options):
    variable = tf.Variable([1.0, 1.0])
    optimizer = Adam([variable], TrainConfig(**options))
    step(optimizer, [np.array([0.5, 0.0], np.float32)])
    step(optimizer, [np.array([0.0, 0.0], np.float32)])
    assert variable[0] < 0.99
    assert variable[1] == 1.0


def test_a_step_that_is_not_accepted_changes_nothing():
    variable = tf.Variable([1.0])
    optimizer = Adam([variable], TrainConfig())
    step(optimizer, [np.array([1.0], np.float32)])
    before = [value.numpy().copy() for value in (variable, *optimizer.first_moments, *optimizer.second_moments)]
    step(optimizer, [np.array([np.nan], np.float32)], accept=False)
    for old, new in zip(before, (variable, *optimizer.first_moments, *optimizer.second_moments), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(optimizer.count) == 1


def test_reset_starts_anew():
    variable = tf.Variable([1.0])
    optimizer = Adam([variable], TrainConfig())
    step(optimizer, [np.array([1.0], np.float32)])
    optimizer.reset()
    variable.assign([1.0])
    step(optimizer, [np.array([-3.0], np.float32)])
    np.testing.assert_allclose(variable, [1.01], rtol=1e-6)


def test_clipping_by_the_global_norm():
    gradients = [tf.constant([3.0]), tf.constant([0.0, 4.0])]
    clipped, norm = clip_by_global_norm(gradients, 1.0)
    assert float(norm) == 5.0
    np.testing.assert_allclose(clipped[1], [0, 0.8], rtol=1e-6)
    unclipped, _ = clip_by_global_norm(gradients, None)
    np.testing.assert_array_equal(unclipped[1], [0, 4])
    np.testing.assert_array_equal(clip_by_global_norm(gradients, 9.0)[0][0], [3])


def test_learning_rate_schedules():
    def rates(**options):
        config = TrainConfig(steps=10, learning_rate=2.0, **options)
        return [float(learning_rate_at(config, tf.constant(step))) for step in (0, 1, 5, 9)]

    assert rates() == [2, 2, 2, 2]
    np.testing.assert_allclose(rates(learning_rate_schedule="linear"), [2, 1.8, 1, 0.2], rtol=1e-5)
    cosine = [1 + np.cos(np.pi * t / 10) for t in (0, 1, 5, 9)]
    np.testing.assert_allclose(rates(learning_rate_schedule="cosine"), cosine, rtol=1e-5)
    np.testing.assert_allclose(rates(warmup_steps=4), [0.5, 1, 2, 2], rtol=1e-5)
