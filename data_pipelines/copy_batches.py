"""Batches of the Copy Task: from stored bits to inputs, targets and the recall window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.tasks import Batch
from data_pipelines.copy_patterns import Layout

MakeBatch = Callable[[dict[str, tf.Tensor]], Batch]


def fixed_length_batches(layout: Layout, sources: np.ndarray, width: int) -> MakeBatch:
    """For sequences of one length: the pattern is gathered bit by bit."""
    total_steps, num_steps = layout.total_steps, layout.pattern_steps(layout.longest)
    window = np.zeros([1, total_steps], np.float32)
    window[:, total_steps - layout.recall_steps(layout.longest) :] = 1

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        inputs = fields["inputs"]  # [B, T, F]
        flat = tf.reshape(inputs, [-1, inputs.shape[1] * inputs.shape[2]])
        bits = tf.reduce_sum(tf.gather(flat, sources, axis=1), axis=1)  # [B, n, p C] -> [B, p C]
        pattern = tf.reshape(tf.cast(bits % 2, tf.float32), [-1, num_steps, width])
        targets = tf.pad(pattern, [[0, 0], [total_steps - num_steps, 0], [0, 0]])  # [B, T, C]
        weights = tf.broadcast_to(window, tf.shape(inputs)[:2])
        return _batch(inputs, targets, weights, fields["lengths"])

    return make_batch


def varying_length_batches(layout: Layout, width: int, revert: bool) -> MakeBatch:
    """For sequences of many lengths: the pattern is gathered step by step, at positions that depend on the length."""

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        inputs, lengths = fields["inputs"], fields["lengths"][:, tf.newaxis]
        input_lengths = layout.input_lengths(lengths)
        num_steps = layout.pattern_steps(input_lengths)  # [B, 1]
        steps = tf.range(tf.shape(inputs)[1])
        recalled = steps - (lengths - num_steps)  # [B, T]: step of the pattern, if within [0, p)
        in_pattern = (recalled >= 0) & (recalled < num_steps)
        chosen = tf.where(in_pattern, num_steps - 1 - recalled if revert else recalled, 0)
        pattern = tf.cast(tf.gather(inputs[:, :, :width], chosen, axis=1, batch_dims=1), tf.float32)  # [B, T, C]
        targets = pattern * tf.cast(in_pattern, tf.float32)[:, :, tf.newaxis]
        in_recall = (steps >= lengths - layout.recall_steps(input_lengths)) & (steps < lengths)
        return _batch(inputs, targets, tf.cast(in_recall, tf.float32), fields["lengths"])

    return make_batch


def recall_after_stop_flag(layout: Layout, inputs: tf.Tensor) -> tf.Tensor:
    """Loss weights [B, T] of generated inputs: the recall that follows the step whose stop flag is most likely."""
    total_steps = tf.shape(inputs)[1]
    stops = tf.argmax(inputs[:, :, -1:], axis=1, output_type=tf.int32)  # [B, 1]
    recalled = tf.range(total_steps) - stops  # [B, T], from 1 on
    return tf.cast((recalled > 0) & (recalled <= layout.recall_steps_after(stops, total_steps)), tf.float32)


def _batch(inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, lengths: tf.Tensor) -> Batch:
    return Batch(tf.cast(inputs, tf.float32), targets, weights, weights, lengths, task_id=tf.zeros_like(lengths))
