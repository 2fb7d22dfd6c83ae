"""Replay of old tasks: which of them share a batch, and how far the network's answers have moved.

A replayed batch of B sequences is split evenly among the t old tasks, C_j being the share of task j. With y the outputs
of the network and y* those of a *teacher*, the weights as they were before the present task,

    distillation = sum_j 1 / |C_j| * sum_{x in C_j} sum_t w_t d(y_t, y*_t)

where d is `OutputKind.distillation` and w are the loss weights of x. Labels of old tasks are not used. The sum over
old tasks is not divided by their number, as published (Ehret et al. 2021; Li & Hoiem 2016). A batch that is smaller
than the number of old tasks holds a random choice of them, whose loss is scaled up to stand for all; the published code
fails there.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import tensorflow as tf

from clrnn_tf.outputs import OutputKind


class Replay(NamedTuple):
    """Sequences of old tasks, axes as in `Batch`."""

    inputs: tf.Tensor
    loss_weights: tf.Tensor
    lengths: tf.Tensor
    task_ids: tf.Tensor
    """[B] int32."""


def replayed_tasks(num_tasks: int, task_id: tf.Tensor, size: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Old tasks of a replayed batch, [size]: row b is of task order[b mod t] for a random order of the t old tasks.

    Args:
      num_tasks: K.
      task_id: t, the present task, above 0.
      size: Rows of the batch; the first `size` mod t tasks of the order get one more.
      key: [2] seed of the order.
    """
    draws = tf.random.stateless_uniform([num_tasks], key)
    order = tf.argsort(tf.where(tf.range(num_tasks) < task_id, draws, 2.0))  # old tasks come first
    return tf.gather(order, tf.range(size) % task_id)


def weighted_by_share(
    replay: Replay, task_id: tf.Tensor, num_tasks: int, normalize: Literal["sequence", "step"] = "sequence"
) -> Replay:
    """The batch with loss weights w / |C_j|, so that `distillation` is a plain sum, over any part of the batch.

    Args:
      replay: Sequences of all old tasks; of as many old tasks as there are sequences, where that is fewer.
      task_id: t, the present task, which is also the number of old tasks.
      num_tasks: K.
      normalize: Whether |C_j| counts sequences, or steps by their weight.
    """
    members = tf.one_hot(replay.task_ids, num_tasks)  # [B, K]
    counts = tf.reduce_sum(replay.loss_weights, axis=1) if normalize == "step" else tf.ones_like(members[:, 0])  # [B]
    sizes = tf.linalg.matvec(members, tf.linalg.matvec(members, counts, transpose_a=True))  # [B]: |C_j|
    tasks_per_slot = tf.cast(task_id / tf.minimum(task_id, tf.size(replay.task_ids)), tf.float32)
    shares = tf.math.divide_no_nan(tasks_per_slot, sizes)
    return replay._replace(loss_weights=replay.loss_weights * shares[:, tf.newaxis])


def distillation(
    outputs: OutputKind, logits: tf.Tensor, teacher_logits: tf.Tensor, loss_weights: tf.Tensor
) -> tf.Tensor:
    """Weighted sum of the distances of a student's outputs from its teacher's; scalar. See `weighted_by_share`."""
    return tf.reduce_sum(outputs.distillation(logits, teacher_logits) * loss_weights)
