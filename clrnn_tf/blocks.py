"""Division of a batch into blocks of sequences of similar length, so that short ones do not pay for the longest.

Sentences of a batch of 64 are 20 words long on average, and the longest one 60: two thirds of what the network computes
would be padding. Sorted by length and cut into blocks, each block is as long as its own longest sequence.
"""

from __future__ import annotations

import math

import tensorflow as tf

from clrnn_tf.config import TrainConfig, require
from clrnn_tf.tasks import Batch, TaskStream

_NUM_BLOCKS = 4  # with more of them products get small
_MULTIPLE = 8  # of time steps to which blocks are rounded up, so that few programs are compiled


def num_blocks(config: TrainConfig, jit: bool, stream: TaskStream, num_workers: int) -> int:
    """Blocks into which each worker divides its share of a batch; see `TrainConfig.length_blocks`.

    Raises:
      ConfigurationError: The share cannot be divided like this.
    """
    share = config.batch_size // num_workers
    if config.length_blocks is not None:
        require(
            share % config.length_blocks == 0,
            f"train.length_blocks must divide each worker's share of a batch ({share}). "
            f"Received: {config.length_blocks}.",
        )
        return config.length_blocks
    if not jit or not any(task.train.lengths_vary for task in stream):
        return 1
    return math.gcd(_NUM_BLOCKS, share)


def split_by_length(batch: Batch, count: int) -> list[Batch]:
    """The batch as `count` batches of equal size, the shortest sequences first; all its sequences, each once.

    Args:
      batch: B sequences of up to T steps; nothing after a sequence's length may have weight.
      count: A divisor of B. 1 leaves the batch as it is.

    Returns:
      Batches of B / count sequences with at most T steps: their longest length, rounded up to a multiple of 8.
    """
    if count == 1:
        return [batch]
    blocks = []
    for rows in tf.split(tf.argsort(batch.lengths, stable=True), count):
        block = Batch(*(tf.gather(field, rows) for field in batch))
        longest = tf.maximum(tf.reduce_max(block.lengths), 1)
        time = tf.minimum(-(-longest // _MULTIPLE) * _MULTIPLE, tf.shape(batch.inputs)[1])
        blocks.append(Batch(*(field if field.shape.rank == 1 else field[:, :time] for field in block)))
    return blocks
