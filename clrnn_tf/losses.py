"""Losses of a sequence, and which predictions are right. All steps count by their weight in the batch."""

from __future__ import annotations

import tensorflow as tf

from clrnn_tf.tasks import Loss


def step_losses(loss: Loss, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of each time step, [B, T] in nats.

        softmax   -log softmax(y)[target]
        sigmoid   sum over outputs of the binary cross-entropy with logits
        linear    mean over outputs of (y - target)^2

    Args:
      loss: Kind of output.
      logits: [B, T, C].
      targets: [B, T] int32 (softmax), or [B, T, C] (sigmoid, linear).
    """
    if loss == "softmax":
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    if loss == "sigmoid":
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits), axis=-1)
    return tf.reduce_mean(tf.square(logits - targets), axis=-1)


def sequence_losses(loss: Loss, logits: tf.Tensor, targets: tf.Tensor, loss_weights: tf.Tensor) -> tf.Tensor:
    """Weighted sum over time of `step_losses`, [B] in nats. The published loss is its mean over the batch."""
    return tf.reduce_sum(step_losses(loss, logits, targets) * loss_weights, axis=1)


def distillation_losses(
    loss: Loss, logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 2.0
) -> tf.Tensor:
    """Distance of a student's outputs y from a teacher's y* at each time step, [B, T] in nats; T the temperature.

        softmax   -T^2 * sum over classes of softmax(y* / T) log softmax(y / T)          (Hinton et al. 2015)
        sigmoid   T^2 * sum over outputs of the cross-entropy of sigmoid(y / T) with sigmoid(y* / T)
        linear    sum over outputs of (y - y*)^2, without temperature

    No gradient reaches the teacher.
    """
    teacher_logits = tf.stop_gradient(teacher_logits)
    if loss == "linear":
        return tf.reduce_sum(tf.square(logits - teacher_logits), axis=-1)
    logits, teacher_logits = logits / temperature, teacher_logits / temperature
    if loss == "softmax":
        return temperature**2 * tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher_logits), logits)
    crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(teacher_logits), logits=logits)
    return temperature**2 * tf.reduce_sum(crossed, axis=-1)


def step_entropies(loss: Loss, logits: tf.Tensor) -> tf.Tensor:
    """Entropy of the outputs of each time step, [B, T] in nats: of the classes, or summed over the output bits.

        softmax   -sum over classes of p log p                              p = softmax(y)
        sigmoid   -sum over outputs of p log p + (1 - p) log(1 - p)         p = sigmoid(y)

    Args:
      loss: `softmax` or `sigmoid`; linear outputs have no probabilities.
      logits: [B, T, C].
    """
    if loss == "softmax":
        return tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(logits), logits)
    if loss == "sigmoid":
        crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(logits), logits=logits)
        return tf.reduce_sum(crossed, axis=-1)
    raise ValueError(f"loss must be softmax or sigmoid. Received: {loss}.")


def step_accuracy(loss: Loss, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Fraction of each time step that is right, [B, T]: 0 or 1 (softmax), share of right bits (sigmoid), 0 (linear)."""
    if loss == "softmax":
        return tf.cast(tf.argmax(logits, axis=-1, output_type=targets.dtype) == targets, tf.float32)
    if loss == "sigmoid":
        return tf.reduce_mean(tf.cast((logits >= 0) == (targets > 0.5), tf.float32), axis=-1)
    return tf.zeros_like(logits[..., 0])
