"""Blocks of a batch that run at the same time, and steps that need not be computed.

Sentences of a batch of 64 are 20 words long on average, and the longest one has 60: two thirds of what the network
computes would be padding. So a batch is sorted by length and cut into blocks, and each block is only as long as its
longest sequence. Blocks are separate XLA programs that run at the same time, because one program leaves a second core
idle for much of a recurrence. For this reason sequences of one length are cut into blocks, too.

Where only the last steps of the sequences count (the recall of the Copy Task, the last step of a digit), the layers
above the last recurrence are computed for these steps only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.errors import require
from clrnn_tf.streams.splits import bucketed_length
from clrnn_tf.streams.tasks import Batch, TaskStream


class Sequences(Protocol):
    """A named tuple of tensors like `Batch`; fields have axes [B, ...] or [B, T, ...]."""

    @property
    def inputs(self) -> tf.Tensor:
        """[B, T, ...]."""

    @property
    def lengths(self) -> tf.Tensor:
        """[B] int32."""

    def __iter__(self) -> Iterator[tf.Tensor]: ...

    def __init__(self, *fields: tf.Tensor) -> None: ...


SequencesT = TypeVar("SequencesT", bound=Sequences)

_NUM_BLOCKS = 4  # where lengths vary; more blocks would make the products too small
_NUM_EQUAL_BLOCKS = 2  # where lengths do not vary
_PARTS = 8  # the first scored step is rounded down to a multiple of an eighth of T
_MULTIPLE = 8  # blocks are rounded up to a multiple of this many steps, so that few programs are compiled
_BEYOND_ALL = 2**31 - 1


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
    if not jit:
        return 1
    vary = any(task.train.lengths_vary for task in stream)
    return math.gcd(_NUM_BLOCKS if vary else _NUM_EQUAL_BLOCKS, share)


def length_buckets_of(stream: TaskStream) -> tuple[int, ...]:
    """The length buckets of all training splits, ascending; () where blocks would carry much padding with them.

    Multiples of 8 would make more programs, each of which takes seconds to compile. Buckets of whole batches may be far
    apart, however; here each is at most 8 steps or half as long again as the one before.
    """
    buckets = sorted({bucket for task in stream for bucket in getattr(task.train, "length_buckets", ())})
    near = all(b - a <= max(_MULTIPLE, a // 2) for a, b in itertools.pairwise([0, *buckets]))
    return tuple(buckets) if near else ()


@tf.autograph.experimental.do_not_convert
def split_by_length(batch: SequencesT, count: int, length_buckets: Sequence[int] = ()) -> list[SequencesT]:
    """The batch as `count` batches of equal size, the shortest sequences first.

    Args:
      batch: B sequences of up to T steps; steps at and after a sequence's length must have weight 0.
      count: A divisor of B. With 1 the batch is returned unchanged.
      length_buckets: Those of the task's data, see `length_buckets_of`.

    Returns:
      Batches of B / count sequences with at most T steps: their longest length, rounded up to the next bucket (T beyond
      the last); without buckets to a multiple of 8.
    """
    if count == 1:
        return [batch]
    blocks = []
    for rows in tf.split(tf.argsort(batch.lengths, stable=True), count):
        block = type(batch)(*(tf.gather(field, rows) for field in batch))
        longest = tf.maximum(tf.reduce_max(block.lengths), 1)
        if length_buckets:
            rounded = bucketed_length(longest, (*length_buckets, _BEYOND_ALL))
        else:
            rounded = -(-longest // _MULTIPLE) * _MULTIPLE
        time = tf.minimum(rounded, tf.shape(batch.inputs)[1])
        blocks.append(type(batch)(*(field if field.shape.rank == 1 else field[:, :time] for field in block)))
    return blocks


def halves(batch: Batch) -> list[Batch]:
    """The first and the second half of a batch; the batch alone where its number of sequences is odd."""
    return equal_parts(batch, math.gcd(2, batch.lengths.shape[0]))


@tf.autograph.experimental.do_not_convert
def equal_parts(batch: Batch, count: int) -> list[Batch]:
    """A batch as `count` batches of equal size; its size may be unknown while tracing."""
    if count == 1:
        return [batch]
    return [Batch(*fields) for fields in zip(*(tf.split(field, count) for field in batch), strict=True)]


def scored_end(batch: Batch) -> Batch:
    """The batch with targets and weights from `first_scored_step` on. `inputs` keep all T steps."""
    batch = batch._replace(targets=valid_targets(batch))
    first = first_scored_step(batch.loss_weights, batch.eval_weights)
    ends = {name: getattr(batch, name)[:, first:] for name in ("targets", "loss_weights", "eval_weights")}
    return batch._replace(**ends)


def valid_targets(batch: Batch) -> tf.Tensor:
    """The targets, with 0 at steps of weight 0, where they may be invalid (NaN, -1)."""
    counts = (batch.loss_weights != 0.0) | (batch.eval_weights != 0.0)  # [B, T]
    if batch.targets.shape.rank > 2:
        counts = counts[:, :, tf.newaxis]
    return tf.where(counts, batch.targets, tf.zeros_like(batch.targets))


def first_scored_step(*weights: tf.Tensor) -> tf.Tensor:
    """Number of steps in which no sequence has any of the weights [B, T]; scalar below T.

    A multiple of an eighth of T (any number where T < 16), so that few programs are compiled.
    """
    time = tf.shape(weights[0])[1]
    counts = tf.reduce_any([tf.reduce_any(weight != 0.0, axis=0) for weight in weights], axis=0)  # [T]
    unscored = tf.reduce_sum(tf.cast(tf.cumsum(tf.cast(counts, tf.int32)) == 0, tf.int32))
    part = tf.maximum(time // _PARTS, 1)
    return tf.minimum(unscored // part * part, time - 1)
