"""Rows of a batch by task: sorted and cut into blocks of one size, each of one task.

A batch of B rows of D distinct tasks is cut into N blocks of R rows. All blocks go through the network together, each
with the weights of its task, as batched products. Rows that fill up the last block of a task repeat another row, and
their answers are dropped. The size R is the power of two, or ceil(B / D), for which N (R + w) is smallest: fetching the
weights of a block takes about as long as computing w rows.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class RowBlocks(NamedTuple):
    """How rows are cut into N blocks of R rows; see `cut`.

    Example: five rows of two tasks give blocks of two rows.
      >>> import tensorflow as tf
      >>> blocks = RowBlocks.cut(tf.constant([7, 4, 7, 7, 7]))
      >>> blocks.distinct.numpy().tolist(), blocks.places.numpy().tolist(), blocks.rows.numpy().tolist()
      ([4, 7], [0, 1, 1], [[1, 0], [0, 2], [3, 4]])
      >>> blocks.undo(blocks.of(tf.constant([10, 11, 12, 13, 14]))).numpy().tolist()
      [10, 11, 12, 13, 14]
    """

    distinct: tf.Tensor
    """[D] int32, the tasks in the batch, ascending."""
    places: tf.Tensor
    """[N] int32, place of each block's task in `distinct`."""
    rows: tf.Tensor
    """[N, R] int32, the rows of each block."""
    slots: tf.Tensor
    """[B] int32, where each row is in the N * R rows of all blocks."""

    @classmethod
    def cut(cls, task_ids: tf.Tensor, block_cost: int = 1) -> RowBlocks:
        """Cut rows by their tasks.

        Args:
          task_ids: [B] int32; B may not be 0.
          block_cost: w, what a block costs beside what a row does.
        """
        order = tf.argsort(task_ids, stable=True)
        distinct, _, counts = tf.unique_with_counts(tf.gather(task_ids, order))
        size = _best_size(counts, block_cost)  # R
        blocks = -(-counts // size)  # of each task
        places = tf.repeat(tf.range(tf.size(distinct)), blocks)
        earlier = tf.range(tf.size(places)) - tf.gather(tf.cumsum(blocks, exclusive=True), places)
        ends = tf.cumsum(counts)
        first = tf.gather(ends - counts, places) + earlier * size
        sorted_rows = first[:, tf.newaxis] + tf.range(size)  # [N, R]
        is_real = sorted_rows < tf.gather(ends, places)[:, tf.newaxis]
        rows = tf.where(is_real, tf.gather(order, tf.where(is_real, sorted_rows, 0)), 0)
        slots = tf.cast(tf.where(tf.reshape(is_real, [-1])), tf.int32)  # [B, 1], in the order of `order`
        return cls(distinct, places, rows, tf.scatter_nd(order[:, tf.newaxis], slots[:, 0], tf.shape(order)))

    def of(self, values: tf.Tensor) -> tf.Tensor:
        """[B, ...] as the N * R rows of all blocks."""
        return tf.gather(values, tf.reshape(self.rows, [-1]))

    def undo(self, values: tf.Tensor) -> tf.Tensor:
        """[N * R, ...] as the rows [B, ...] of the batch."""
        return tf.gather(values, self.slots)


def _best_size(counts: tf.Tensor, block_cost: int) -> tf.Tensor:
    """R for tasks of so many rows [D] int32."""
    even = -(-tf.reduce_sum(counts) // tf.size(counts))  # ceil(B / D)
    sizes = tf.concat([[even], 2 ** tf.range(12)], axis=0)
    num_blocks = tf.reduce_sum(-(-counts // sizes[:, tf.newaxis]), axis=1)
    return tf.gather(sizes, tf.argmin(num_blocks * (sizes + block_cost)))
