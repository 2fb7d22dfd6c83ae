import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.losses import distillation_losses, sequence_losses, step_accuracy

LOGITS = np.sin(0.3 * np.arange(24)).reshape(3, 2, 4).transpose(1, 0, 2)  # [B, T, C]
LABELS = np.array([[0, 1], [2, 3], [1, 0]]).T
BITS = (np.arange(24) % 3 == 0).astype(float).reshape(3, 2, 4).transpose(1, 0, 2)
WEIGHTS = np.array([[0.0, 1], [1, 1], [1, 0]]).T


@pytest.mark.parametrize(
    ("loss", "targets", "expected", "weighted", "scale"),
    [
        ("softmax", LABELS, 9.764099851, 6.051795337, 1),
        ("sigmoid", BITS, 18.400090884, 12.331492566, 1),
        ("linear", BITS, 1.573959321, 1.329836066, 3),  # the published loss takes the mean over the 3 time steps
    ],
)
def test_golden_losses(loss, targets, expected, weighted, scale):
    logits = tf.constant(LOGITS)
    targets = tf.constant(targets, tf.int32 if loss == "softmax" else tf.float64)
    everything = tf.reduce_sum(sequence_losses(loss, logits, targets, tf.ones([2, 3], tf.float64)))
    some = tf.reduce_sum(sequence_losses(loss, logits, targets, tf.constant(WEIGHTS)))
    np.testing.assert_allclose(everything / scale, expected, rtol=1e-8)
    np.testing.assert_allclose(some / scale, weighted, rtol=1e-8)


def test_accuracy_counts_classes_and_bits():
    logits = tf.constant([[[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]])
    np.testing.assert_array_equal(step_accuracy("softmax", logits, tf.constant([[0, 1]])), [[1, 0]])
    bits = tf.constant([[[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]])
    np.testing.assert_allclose(step_accuracy("sigmoid", logits - 0.5, bits), [[1, 2 / 3]])
    np.testing.assert_array_equal(step_accuracy("linear", logits, bits), [[0, 0]])


@pytest.mark.parametrize(("temperature", "expected"), [(2.0, 5.579162952), (1.0, 1.419838708)])
def test_golden_distillation(temperature, expected):
    """V9: the mean over all steps."""
    losses = distillation_losses("softmax", tf.constant(LOGITS), tf.constant(np.cos(LOGITS)), temperature)
    assert losses.shape == LOGITS.shape[:2]
    np.testing.assert_allclose(tf.reduce_mean(losses), expected, rtol=1e-8)


def test_distillation_of_bits_and_numbers():
    student, teacher = LOGITS, np.cos(LOGITS)
    p, q = 1 / (1 + np.exp(-student / 2)), 1 / (1 + np.exp(-teacher / 2))
    expected = -4 * (q * np.log(p) + (1 - q) * np.log(1 - p)).sum(-1)
    np.testing.assert_allclose(distillation_losses("sigmoid", tf.constant(student), tf.constant(teacher)), expected)
    expected = np.square(student - teacher).sum(-1)
    np.testing.assert_allclose(distillation_losses("linear", tf.constant(student), tf.constant(teacher)), expected)


def test_the_teacher_gets_no_gradient():
    for loss in ("softmax", "sigmoid", "linear"):
        student, teacher = tf.Variable(LOGITS), tf.Variable(np.cos(LOGITS))
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(distillation_losses(loss, student + 0.0, teacher + 0.0))
        gradients = tape.gradient(value, [student, teacher])
        assert np.any(gradients[0].numpy()) and gradients[1] is None
