"""Tasks, streams of tasks, and what the rest of the library asks of their data.

A `Split` yields batches through `tf.data`, a pure function of (seed, task, step). `clrnn_tf.streams.splits` has those
of arrays and of datasets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, overload

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.outputs import OUTPUT_KINDS, OutputName
from clrnn_tf.streams.coding import SequenceCoder
from clrnn_tf.streams.inputs import InputModel, NgramInputs

if TYPE_CHECKING:
    from clrnn_tf.streams.labelled import Arrays
    from clrnn_tf.streams.own import Preparation


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

    sequence_coder: Callable[[int], SequenceCoder] | None = None
    """Makes, for a task id, what turns sequences as they are measured into `Batch.inputs`, which exports keep; None
    where `Batch.inputs` are what is measured."""

    @classmethod
    def from_arrays(
        cls,
        tasks: Sequence[Arrays],
        test: Sequence[Arrays] | None = None,
        validation: Sequence[Arrays] | None = None,
        *,
        outputs: OutputName | None = None,
        task_names: Sequence[str] = (),
        class_names: Sequence[str] = (),
        preparation: Preparation | None = None,
    ) -> TaskStream:
        """A stream of your own arrays, standardised by the training data of each task unless `preparation` differs.

        Every task is (sequences, labels) or (sequences, labels, lengths): sequences [N, T, F], or a list of arrays
        [T, F] of any lengths. The type of the labels says what they are, and their shape whether a sequence has one or
        every step has one:

            classes        whole numbers     [N]       [N, T], -1 where a step has none
                           or names (text)   [N]       [N, T], "" where a step has none
            several at once  booleans        [N, C]    [N, T, C]
            numbers        floats            [N, C]    [N, T, C], NaN where a step has none

        Args:
          tasks: The training data of each task.
          test: Test data of each task; without, a share of the training data is taken (`Preparation.test_share`).
          validation: Validation data of each task.
          outputs: `softmax`, `sigmoid` or `linear`, where the type of the labels does not say it: 0 and 1 as numbers.
          task_names: Names of the tasks; task0, task1, ... by default.
          class_names: Names of the classes; where labels are names, those of the training data by default.
          preparation: Standardisation, missing values, test data.

        Raises:
          ConfigurationError: Something does not fit; the message names task, split and sequence.

        Example: three tasks of 40 sequences with a class each.
          >>> import numpy as np
          >>> from clrnn_tf import TaskStream
          >>> draws = np.random.default_rng(0)
          >>> tasks = [(draws.normal(size=(40, 9, 2)), draws.integers(0, 3, 40)) for _ in range(3)]
          >>> stream = TaskStream.from_arrays(tasks)
          >>> stream.outputs, stream.num_outputs, stream[0].train.num_examples, stream[0].test.num_examples
          ('softmax', 3, 32, 8)
        """
        from clrnn_tf.streams import arrays  # it makes streams, so it comes after this module

        labels = arrays.Labels(outputs, tuple(class_names), tuple(task_names))
        return arrays.stream_from_arrays(
            arrays.Parts(tasks, test, validation), labels, preparation or arrays.Preparation()
        )

    @classmethod
    def from_datasets(
        cls,
        tasks: Sequence[tf.data.Dataset],
        test: Sequence[tf.data.Dataset] | None = None,
        validation: Sequence[tf.data.Dataset] | None = None,
        *,
        outputs: OutputName | None = None,
        task_names: Sequence[str] = (),
        class_names: Sequence[str] = (),
        preparation: Preparation | None = None,
    ) -> TaskStream:
        """A stream of datasets of (sequence, label): sequences [T, F] or [T] of any lengths; labels as of an example of
        `from_arrays`. They are read once and kept in memory; `DatasetSplit` is for data that do not fit.

        The arguments are those of `from_arrays`.

        Raises:
          ConfigurationError: Something does not fit; the message names task, split and sequence.

        Example:
          >>> import tensorflow as tf
          >>> from clrnn_tf import TaskStream
          >>> sequences = tf.random.stateless_normal([20, 9, 2], [0, 1])
          >>> dataset = tf.data.Dataset.from_tensor_slices((sequences, tf.range(20) % 3))
          >>> TaskStream.from_datasets([dataset, dataset]).num_outputs
          3
        """
        from clrnn_tf.streams import arrays  # it makes streams, so it comes after this module

        labels = arrays.Labels(outputs, tuple(class_names), tuple(task_names))
        return arrays.stream_from_datasets(
            arrays.Parts(tasks, test, validation), labels, preparation or arrays.Preparation()
        )

    @property
    def loss_unit(self) -> str:
        """Of losses, in words: nats, or an error, which says where targets are standardised or steps are summed up."""
        unit = OUTPUT_KINDS[self.outputs].loss_unit
        coders = [] if self.sequence_coder is None else [self.sequence_coder(task.task_id) for task in self.tasks]
        stds = [coder.statistics.target_stds for coder in coders if coder.statistics.target_stds is not None]
        if not stds:
            return unit
        unit = unit.replace("mean", "summed") if coders[0].per_step else unit
        return f"{unit}, standardised" if any(np.any(np.asarray(std) != 1) for std in stds) else unit

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
