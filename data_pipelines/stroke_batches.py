"""Sequences of one or several digits as splits, and how generative replay reads their ends."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.splits import ArraySplit
from data_pipelines.last_step import labelled_split
from data_pipelines.stroke_digits import StrokeDigits

BUCKET = 16
"""Batches are padded to multiples of this many steps."""


def stroke_split(digits: StrokeDigits, indices: np.ndarray, labels: np.ndarray, time: int) -> ArraySplit:
    """Sequences of the digits with `indices` [N, m], padded to `time` steps, each with one label [N]."""
    lengths = digits.lengths[indices].sum(axis=1)
    buckets = tuple(range(BUCKET, time, BUCKET))
    return labelled_split(digits.sequences(indices, time), lengths, labels, buckets)


def end_of_last_digit(inputs: tf.Tensor, num_digits: int) -> tf.Tensor:
    """Loss weights [B, T] of generated inputs: the latest of the m steps most likely to end a digit."""
    count = tf.minimum(num_digits, tf.shape(inputs)[1])
    likely = tf.math.top_k(inputs[:, :, -1], count).indices  # [B, m]
    return tf.one_hot(tf.reduce_max(likely, axis=1), tf.shape(inputs)[1])
