"""Sequences that have one label each, asked for at their last step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch


def labelled_split(
    inputs: np.ndarray, lengths: np.ndarray, labels: np.ndarray, buckets: tuple[int, ...] = (), scale: float = 1.0
) -> ArraySplit:
    """A split whose loss and score are those of the last step of each sequence.

    Args:
      inputs: [N, T, F], integers of any kind.
      lengths: [N].
      labels: [N], below 128.
      buckets: See `ArraySplit`.
      scale: Inputs are multiplied by it.
    """
    targets = np.repeat(labels.astype(np.int8)[:, np.newaxis], inputs.shape[1], axis=1)  # repeated at every step

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        values, ends = tf.cast(fields["inputs"], tf.float32), fields["lengths"]
        weights = tf.one_hot(ends - 1, tf.shape(values)[1])  # [B, T]
        values = values if scale == 1.0 else scale * values
        return Batch(values, tf.cast(fields["targets"], tf.int32), weights, weights, ends, task_id=tf.zeros_like(ends))

    return ArraySplit({"inputs": inputs, "targets": targets, "lengths": lengths}, make_batch, buckets)
