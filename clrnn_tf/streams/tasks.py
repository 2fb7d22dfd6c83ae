"""Tasks, streams of tasks, and what the rest of the library asks of their data.

A `Split` yields batches through `tf.data`, a pure function of (seed, task, step). `clrnn_tf.streams.splits` has those
of arrays and of datasets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, overload

import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.outputs import OUTPUT_KINDS, OutputName
from clrnn_tf.streams.inputs import InputModel, NgramInputs


class Batch(NamedTuple):
    """One batch, axes: B batch, T time, F features, C outputs of a head.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import Batch
      >>> real = tf.sequence_mask([3, 2], 3, tf.float32)  # the second sequence has a step of padding
      >>> ids = tf.zeros([2], tf.int32)
      >>> batch = Batch(tf.zeros([2, 3, 4]), tf.zeros([2, 3], tf.int32), real, real, tf.constant([3, 2]), ids)
      >>> float(tf.reduce_sum(batch.eval_weights))
      5.0
    """

    inputs: tf.Tensor
    """[B, T, F] float32; or as `NgramInputs` says where the stream has `ngrams`. Padding may hold anything."""
    targets: tf.Tensor
    """[B, T] int32 class ids (softmax), or [B, T, C] float32 (sigmoid, linear). Anything where both weights are 0."""
    loss_weights: tf.Tensor
    """[B, T] float32; 0 = not trained on."""
    eval_weights: tf.Tensor
    """[B, T] float32; 0 = not scored."""
    lengths: tf.Tensor
    """[B] int32; steps at and after the length are padding."""
    task_id: tf.Tensor
    """[B] int32."""


class Split(Protocol):
    """A split of one task.

    Example:
      >>> from clrnn_tf import ArraySplit, DatasetSplit  # two classes that have what is asked for
      >>> all(hasattr(split, name) for split in (ArraySplit, DatasetSplit) for name in ("batches", "in_order"))
      True
    """

    num_examples: int
    max_time: int | None
    """Time steps of the longest batch, where it is known."""
    lengths_vary: bool
    """Whether sequences differ in length."""

    def batches(self, batch_size: int, seed: int, task_id: int, start_step: int = 0) -> tf.data.Dataset:
        """An endless dataset of training batches, from step `start_step` on."""

    def in_order(self, batch_size: int, task_id: int) -> tf.data.Dataset:
        """Every example once, unshuffled; the last batch is filled up with examples of weight 0."""


@dataclass(frozen=True)
class Task:
    """One task of a stream: its data, by split.

    Example: one task of 8 sequences, whose every step is labelled 1.
      >>> import numpy as np
      >>> import tensorflow as tf
      >>> from clrnn_tf import ArraySplit, Batch, Task
      >>> def make_batch(fields):
      ...     weights = tf.sequence_mask(fields["lengths"], tf.shape(fields["x"])[1], tf.float32)
      ...     return Batch(fields["x"], fields["y"], weights, weights, fields["lengths"], tf.constant(0))
      >>> arrays = {
      ...     "x": np.ones([8, 5, 3], np.float32),
      ...     "y": np.ones([8, 5], np.int32),
      ...     "lengths": np.full(8, 5, np.int32),
      ... }
      >>> task = Task(0, "ones", train=ArraySplit(arrays, make_batch), test=ArraySplit(arrays, make_batch))
      >>> task.train.num_examples
      8
    """

    task_id: int
    name: str
    """Short label, e.g. a language code: letters, digits and `_`."""
    train: Split
    test: Split
    validation: Split | None = None
    parts: tuple[Task, ...] = ()
    """The tasks that its batches mix, with the task of each example in `task_id` [B]; () for an ordinary task."""


@dataclass(frozen=True)
class TaskStream(Sequence[Task]):
    """The tasks of a benchmark in the order in which they are learned.

    Example: see `Task` for tasks of real data.
      >>> from clrnn_tf import Task, TaskStream
      >>> tasks = tuple(Task(k, name, train=None, test=None) for k, name in enumerate(("de", "fr", "it")))
      >>> stream = TaskStream(
      ...     "languages", tasks, num_features=64, num_outputs=17, outputs="softmax", data_source="made up"
      ... )
      >>> len(stream), stream[1].name, [task.name for task in stream[:2]]
      (3, 'fr', ['de', 'fr'])
    """

    name: str
    tasks: tuple[Task, ...]
    num_features: int
    """F: width of the main network's inputs (of the embedding, where inputs are n-grams)."""
    num_outputs: int
    """C: outputs of one head."""
    outputs: OutputName
    """What the outputs of a head are; see `clrnn_tf.outputs`."""
    data_source: str
    """Where the data came from, in words; recorded with every result."""
    class_names: tuple[str, ...] = ()
    """Names of the C classes, where they have names."""
    ngrams: NgramInputs | None = None
    input_model: InputModel | None = InputModel()
    """How inputs can be generated; None where generated sequences would be of no use."""
    data_facts: Mapping[str, object] = field(default_factory=dict)
    """Facts about the data for results.json: coverage, fingerprint."""
    word_encoder: Callable[[int], tf.Module] | None = None
    """Makes, for a task id, what turns words [B, T] (strings, "" is padding) into `Batch.inputs`, in graph operations;
    None where inputs are no words."""

    @property
    def input_width(self) -> int:
        """Width of `Batch.inputs`: features, buckets, or both."""
        return self.num_features if self.ngrams is None else self.ngrams.width

    @property
    def input_dtype(self) -> tf.DType:
        """Kind of `Batch.inputs`."""
        return tf.float32 if self.ngrams is None else self.ngrams.dtype

    def __post_init__(self) -> None:
        require(len(self.tasks) > 0, "a task stream needs at least one task. Received: 0.")
        ids = [task.task_id for task in self.tasks]
        require(ids == list(range(len(ids))), f"task ids must count from 0. Received: {ids}.")
        names = [task.name for task in self.tasks]
        require(len(set(names)) == len(names), f"task names must differ. Received: {names}.")
        known = ", ".join(OUTPUT_KINDS)
        require(self.outputs in OUTPUT_KINDS, f"outputs must be one of {known}. Received: {self.outputs}.")

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Task, ...]: ...

    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        return self.tasks[index]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)
