"""Data of tasks: batches that are a pure function of (seed, task, step).

Position p of a task's training order (p = step * batch_size + row) is example `order[p mod N]` of epoch `p div N`,
with one pseudo-random order per (seed, task, epoch). A run that is resumed at any step gets the same batches. A batch
may hold the end of one epoch and the beginning of the next.
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.streams.orders import LengthPools, epoch_key, in_batches_of_similar_length, require_sizes, shuffled
from clrnn_tf.streams.tasks import Batch, Split

_MAX_EAGER_BATCHES = 16  # up to this number, gathering at once is faster than starting a tf.data pipeline


def _common_time(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """T of arrays of these shapes, by name."""
    times = {shape[1] if len(shape) > 1 else None for shape in shapes.values()}
    time = times.pop()
    if times or time is None:
        raise ConfigurationError(f"arrays must be [N, T, ...] with one T. Received: {dict(shapes)}.")
    return time


def _checked_lengths(lengths: np.ndarray, max_time: int) -> np.ndarray:
    lengths = np.asarray(lengths)
    require(
        lengths.ndim == 1 and lengths.dtype.kind in "iuf" and bool(np.all(lengths % 1 == 0)),
        f"lengths must be whole numbers [N]. Received: {lengths.dtype} of shape {lengths.shape}.",
    )
    shortest, longest = int(lengths.min()), int(lengths.max())
    require(
        shortest >= 0 and longest <= max_time,
        f"lengths must be in [0, {max_time}], the T of the arrays. Received: {shortest} to {longest}.",
    )
    return lengths.astype(np.int32)


def bucketed_length(longest: tf.Tensor, buckets: Sequence[int]) -> tf.Tensor:
    """The smallest bucket that holds `longest` time steps, or `longest` itself beyond the last bucket."""
    sizes = tf.constant(sorted(buckets), tf.int32)
    index = tf.searchsorted(sizes, longest[tf.newaxis])[0]
    return tf.where(index < len(buckets), tf.gather(sizes, tf.minimum(index, len(buckets) - 1)), longest)


class ArraySplit:
    """Examples held in memory and gathered by index.

    Args:
      arrays: Arrays [N, T, ...] with the time axis second, and `lengths` [N] int32. Compact dtypes save memory.
      make_batch: Turns the gathered arrays (a dictionary, cut to the batch's time bucket) into a `Batch`; its
        `task_id` is filled in here, so any value will do. Runs inside `tf.data`.
      length_buckets: Time lengths to which batches are padded, so that few programs are compiled. Without them
        every batch has the full T of the arrays.

    Raises:
      ConfigurationError: Arrays differ in N or T, or lengths are not whole numbers in [0, T].

    Example: sequences of up to 6 steps; short batches have 4.
      >>> import numpy as np
      >>> import tensorflow as tf
      >>> from clrnn_tf import ArraySplit, Batch
      >>> def make_batch(fields):
      ...     weights = tf.sequence_mask(fields["lengths"], tf.shape(fields["x"])[1], tf.float32)
      ...     return Batch(fields["x"], fields["y"], weights, weights, fields["lengths"], tf.constant(0))
      >>> arrays = {
      ...     "x": np.ones([8, 6, 3], np.float32),
      ...     "y": np.zeros([8, 6], np.int32),
      ...     "lengths": np.array([2, 2, 3, 4, 5, 6, 6, 6], np.int32),
      ... }
      >>> split = ArraySplit(arrays, make_batch, length_buckets=(4,))
      >>> [batch.inputs.shape[1] for batch in split.in_order(4, task_id=0).as_numpy_iterator()]
      [4, 6]
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        make_batch: Callable[[dict[str, tf.Tensor]], Batch],
        length_buckets: Sequence[int] = (),
    ) -> None:
        if "lengths" not in arrays:
            raise ConfigurationError(f"arrays must hold 'lengths' [N]. Received: {sorted(arrays)}.")
        sizes = {name: len(array) for name, array in arrays.items()}
        require(len(set(sizes.values())) == 1, f"arrays must have one first dimension N. Received: {sizes}.")
        self.num_examples = len(arrays["lengths"])
        require(self.num_examples > 0, "a split needs at least one example. Received: 0.")
        require(len(arrays) > 1, "arrays must hold more than 'lengths'. Received: ['lengths'].")
        time = _common_time({name: np.shape(array) for name, array in arrays.items() if name != "lengths"})
        self._time, self.max_time = time, typing.cast(int | None, time)
        self._arrays = {**arrays, "lengths": _checked_lengths(arrays["lengths"], time)}
        self.lengths_vary = bool(np.ptp(self._arrays["lengths"]))
        self._arrays_on_cpu: dict[str, tf.Tensor] | None = None
        self._make_batch = make_batch
        self.length_buckets = tuple(sorted(bucket for bucket in length_buckets if bucket < time))
        self._length_pool = 0

    def with_length_pool(self, batches: int) -> ArraySplit:
        """The same split with sequences of this many training batches sorted together; see `streams.orders`."""
        require(batches >= 0, f"a length pool must have at least 0 batches. Received: {batches}.")
        changed = copy.copy(self)
        changed._length_pool = batches
        return changed

    def batches(self, batch_size: int, seed: int, task_id: int, start_step: int = 0) -> tf.data.Dataset:
        """See `Split.batches`."""
        first_epoch, seen = divmod(start_step * require_sizes(batch_size, start_step), self.num_examples)

        @tf.autograph.experimental.do_not_convert
        def order(epoch: tf.Tensor) -> tf.Tensor:
            return self.epoch_order(epoch, seed, task_id, batch_size)[tf.where(epoch == first_epoch, seen, 0) :]

        one_by_one = {"num_parallel_calls": 1, "deterministic": True}
        orders = tf.data.Dataset.counter(first_epoch).map(order, **one_by_one).prefetch(1)
        chosen = orders.rebatch(batch_size, drop_remainder=True)
        return chosen.map(partial(self._gather, task_id=task_id), **one_by_one).prefetch(2)

    def first_batches(self, count: int, batch_size: int, seed: int, task_id: int) -> list[Batch]:
        """The first `count` of `batches`, made without a dataset."""
        epochs = range(-(-count * batch_size // self.num_examples))
        indices = tf.concat([self.epoch_order(epoch, seed, task_id, batch_size) for epoch in epochs], 0)
        chosen = tf.reshape(indices[: count * batch_size], [count, batch_size])
        return [self._gather(rows, task_id) for rows in chosen]

    def epoch_order(self, epoch: int | tf.Tensor, seed: int, task_id: int, batch_size: int) -> tf.Tensor:
        """A permutation [N] int32 of the examples: the order in which this epoch of this task trains on them."""
        order = shuffled(self.num_examples, epoch_key(seed, task_id, epoch, 2))
        if self._length_pool == 0:
            return order
        open_rows = tf.cast(-tf.cast(epoch, tf.int64) * self.num_examples % batch_size, tf.int32)
        pools = LengthPools(batch_size, self._length_pool, open_rows, epoch_key(seed, task_id, epoch, 4)[2:])
        return in_batches_of_similar_length(order, self._tensors()["lengths"], pools)

    def in_order(self, batch_size: int, task_id: int) -> tf.data.Dataset:
        """See `Split.in_order`; sorted by length, so that batches carry little padding."""
        batch_size = min(require_sizes(batch_size), self.num_examples)
        order, num_batches = self._by_length(), -(-self.num_examples // batch_size)

        @tf.autograph.experimental.do_not_convert
        def batch_at(number: tf.Tensor) -> Batch:
            positions = number * batch_size + tf.range(batch_size, dtype=tf.int64)
            real = tf.cast(positions < self.num_examples, tf.float32)[:, tf.newaxis]
            batch = self._gather(tf.gather(order, tf.minimum(positions, self.num_examples - 1)), task_id)
            return batch._replace(loss_weights=batch.loss_weights * real, eval_weights=batch.eval_weights * real)

        return tf.data.Dataset.range(num_batches).map(batch_at, num_parallel_calls=1).prefetch(2)

    def first_in_order(self, batch_size: int, task_id: int) -> Batch:
        """The first batch of `in_order`, made without a dataset."""
        return self._gather(self._by_length()[: require_sizes(batch_size)], task_id)

    def _by_length(self) -> tf.Tensor:
        """[N] int64, the examples from the shortest to the longest."""
        return tf.constant(np.argsort(self._arrays["lengths"], kind="stable"), tf.int64)

    @tf.autograph.experimental.do_not_convert
    def _gather(self, indices: tf.Tensor, task_id: int) -> Batch:
        """The examples with these indices [B]."""
        fields = {name: tf.gather(array, indices) for name, array in self._tensors().items()}
        time = tf.constant(self._time)
        if self.length_buckets:
            time = bucketed_length(tf.reduce_max(fields["lengths"]), (*self.length_buckets, self._time))
        fields = {name: field if name == "lengths" else field[:, :time] for name, field in fields.items()}
        return self._make_batch(fields)._replace(task_id=tf.fill(indices.shape, task_id))

    def _tensors(self) -> Mapping[str, tf.Tensor]:
        if self._arrays_on_cpu is None:
            with tf.init_scope(), tf.device("CPU:0"):
                self._arrays_on_cpu = {name: tf.constant(array) for name, array in self._arrays.items()}
        return self._arrays_on_cpu


class DatasetSplit:
    """Examples read from a `tf.data.Dataset` (TFRecord files, generators) that need not fit in memory.

    Args:
      make_examples: Returns a dataset of single examples: `Batch` without the batch axis, `task_id` ignored.
        Called inside `tf.data`, once per epoch; it must give the same examples in the same order each time.
      num_examples: Examples per epoch. Where `make_examples` gives another number, reading ends in a
        `tf.errors.FailedPreconditionError` with both.
      shuffle_buffer: Examples held in memory for shuffling; at least `num_examples` shuffles fully.
      length_buckets: See `ArraySplit`.
      max_time: Time steps of the longest example, for methods that keep examples.

    Example: two sequences from a generator.
      >>> import tensorflow as tf
      >>> from clrnn_tf import Batch, DatasetSplit
      >>> def make_examples():
      ...     def example(length):
      ...         steps = tf.ones([length])
      ...         return Batch(tf.ones([length, 3]), tf.zeros([length], tf.int32), steps, steps, length, 0)
      ...
      ...     return tf.data.Dataset.from_tensor_slices([2, 5]).map(example)
      >>> split = DatasetSplit(make_examples, num_examples=2)
      >>> next(iter(split.in_order(2, task_id=0))).inputs.shape
      TensorShape([2, 5, 3])
    """

    lengths_vary = True

    def __init__(
        self,
        make_examples: Callable[[], tf.data.Dataset],
        num_examples: int,
        shuffle_buffer: int = 10_000,
        length_buckets: Sequence[int] = (),
        max_time: int | None = None,
    ) -> None:
        require(num_examples > 0, f"num_examples must be above 0. Received: {num_examples}.")
        require(shuffle_buffer > 0, f"shuffle_buffer must be above 0. Received: {shuffle_buffer}.")
        self.num_examples = num_examples
        self.max_time = max_time
        self._make_examples = make_examples
        self._shuffle_buffer = shuffle_buffer
        self.length_buckets = tuple(sorted(length_buckets))

    def batches(self, batch_size: int, seed: int, task_id: int, start_step: int = 0) -> tf.data.Dataset:
        """See `Split.batches`. Starting at a later step reads and drops the examples before it."""

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            tf.random.set_seed(1)  # only of this function's graph; else `shuffle` mixes in the program's global seed
            key = epoch_key(seed, task_id, number, 1)[0]
            return self._examples().shuffle(self._shuffle_buffer, seed=key, reshuffle_each_iteration=False)

        epoch_steps = start_step * require_sizes(batch_size, start_step) // self.num_examples
        skipped = start_step * batch_size - epoch_steps * self.num_examples
        examples = tf.data.Dataset.counter(epoch_steps).flat_map(epoch).skip(skipped)
        return self._padded(examples, batch_size, task_id).prefetch(2)

    def in_order(self, batch_size: int, task_id: int) -> tf.data.Dataset:
        """See `Split.in_order`."""
        batch_size = min(require_sizes(batch_size), self.num_examples)
        missing = -self.num_examples % batch_size

        def without_weight(example: Batch) -> Batch:
            return example._replace(
                loss_weights=tf.zeros_like(example.loss_weights), eval_weights=tf.zeros_like(example.eval_weights)
            )

        examples = self._examples()
        filling = self._examples().repeat().take(missing).map(without_weight)
        return self._padded(examples.concatenate(filling), batch_size, task_id).prefetch(2)

    def _examples(self) -> tf.data.Dataset:
        """The examples of an epoch; reading them fails where there are more or fewer than `num_examples`."""
        return self._make_examples().apply(tf.data.experimental.assert_cardinality(self.num_examples))

    def _padded(self, examples: tf.data.Dataset, batch_size: int, task_id: int) -> tf.data.Dataset:
        def to_bucket(batch: Batch) -> Batch:
            time = tf.shape(batch.inputs)[1]
            if self.length_buckets:
                more = [[0, 0], [0, bucketed_length(time, self.length_buckets) - time], [0, 0]]  # of B, T, F
                batch = Batch(*(x if x.shape.rank < 2 else tf.pad(x, more[: x.shape.rank]) for x in batch))
            return batch._replace(task_id=tf.fill([batch_size], task_id))

        scalar_id = examples.map(lambda example: example._replace(task_id=tf.constant(task_id)))
        return scalar_id.padded_batch(batch_size, drop_remainder=True).map(to_bucket)


def first_batches(split: Split, count: int, batch_size: int, seed: int, task_id: int) -> Iterable[Batch]:
    """The first `count` training batches, for use outside of compiled functions.

    A small number is gathered directly where the split allows it: a dataset takes as long to set up as a dozen.
    """
    if count > _MAX_EAGER_BATCHES or not isinstance(split, ArraySplit):
        return split.batches(batch_size, seed, task_id).take(count).with_options(_untuned())
    with tf.device("CPU:0"):
        return split.first_batches(count, batch_size, seed, task_id)


def batches_of_any_length(dataset: tf.data.Dataset, axes: Collection[int] = (1,)) -> tf.data.Dataset:
    """The same batches with axes, that of time by default, of unknown static length: tasks share one traced function.

    Autotuning is off, because a dropped iterator would wait for the tuning thread, which sleeps up to 60 s. Graph
    rewriting is off, because it copies the arrays of a dataset whenever one is iterated in a graph. Give compiled
    functions an iterator: a loop over the dataset itself would be set up again at every call (0.1 s).
    """

    @tf.autograph.experimental.do_not_convert
    def relax(batch: Batch) -> Batch:
        shapes = [[None if axis in axes else n for axis, n in enumerate(field.shape)] for field in batch]
        return Batch(*map(tf.compat.v1.placeholder_with_default, batch, shapes))

    return dataset.map(relax).with_options(_untuned())


def _untuned() -> tf.data.Options:
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
