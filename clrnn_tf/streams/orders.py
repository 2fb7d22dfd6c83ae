"""The order in which an epoch of a task trains on its examples: a pure function of (seed, task, epoch)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.seeds import SeedOffset


def require_sizes(batch_size: int, start_step: int = 0) -> int:
    """`batch_size`, if batches can be cut at this size from this step on.

    Raises:
      ConfigurationError: They cannot.
    """
    require(batch_size > 0, f"batch_size must be above 0. Received: {batch_size}.")
    require(start_step >= 0, f"start_step must not be negative. Received: {start_step}.")
    return batch_size


def epoch_key(seed: int, task_id: int, epoch: int | tf.Tensor, size: int) -> tf.Tensor:
    """Random words [size] int64 for one epoch of a task; with counters as keys, permutations would be related."""
    pair = tf.stack([np.int64(seed), np.int64(task_id) + epoch * int(SeedOffset.EPOCHS)])
    return tf.random.stateless_uniform([size], pair, None, None, tf.int64)


def shuffled(size: int, key: tf.Tensor) -> tf.Tensor:
    """A permutation [size] int32 drawn by a key [2]."""
    return tf.argsort(tf.random.stateless_uniform([size], key, None, None, tf.int64), stable=True)


class LengthPools(NamedTuple):
    """How an epoch is cut into batches of similar length."""

    batch_size: int
    """B."""
    pool: int
    """Batches whose sequences are sorted together."""
    open_rows: tf.Tensor
    """Rows that the epoch before has left free in its last batch, in [0, B); scalar int32. The first examples of the
    order fill them."""
    key: tf.Tensor
    """[2] seed of the order of batches."""


def in_batches_of_similar_length(order: tf.Tensor, lengths: tf.Tensor, pools: LengthPools) -> tf.Tensor:
    """An order whose batches hold sequences of similar length, so that they carry little padding.

    The examples of a pool of batches are sorted by length and cut into batches; then all batches of the epoch are
    shuffled. (torchtext's `BucketIterator` does the same.) Every example comes once.

    Args:
      order: A random order [N] of the examples.
      lengths: Length [N] int32 of each example.
      pools: How to cut.

    Returns:
      The order [N] int32.
    """
    positions = tf.range(tf.size(order)) - pools.open_rows  # those below 0 fill the batch before
    pool = tf.where(positions < 0, -1, positions // (pools.batch_size * pools.pool))
    span = tf.cast(tf.reduce_max(lengths), tf.int64) + 1
    by_pool_and_length = tf.cast(pool, tf.int64) * span + tf.cast(tf.gather(lengths, order), tf.int64)
    order = tf.gather(order, tf.argsort(by_pool_and_length, stable=True))
    batches = positions // pools.batch_size + 1  # 0 for those that fill the batch before
    num_batches = tf.size(order) // pools.batch_size + 2
    draws = tf.random.stateless_uniform([num_batches], pools.key, 0, tf.int64.max, tf.int64)
    keys = tf.where(batches == 0, tf.constant(-1, tf.int64), tf.gather(draws, batches))
    is_cut = (tf.size(order) - pools.open_rows) % pools.batch_size != 0  # the next epoch fills the last batch
    keys = tf.where(tf.logical_and(batches == batches[-1], is_cut), tf.int64.max, keys)
    return tf.gather(order, tf.argsort(keys, stable=True))
