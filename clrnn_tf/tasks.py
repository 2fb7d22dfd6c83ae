"""Tasks, streams of tasks, and what the rest of the library asks of their data.

A `Source` yields batches through `tf.data`, a pure function of (seed, task, step). `clrnn_tf.sources` has those of
arrays and of datasets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import tensorflow as tf

from clrnn_tf.config import require
from clrnn_tf.inputs import InputModel, NgramInputs

Loss = Literal["softmax", "sigmoid", "linear"]


class Batch(NamedTuple):
    """One batch, axes: B batch, T time, F features, C outputs of a head."""

    inputs: tf.Tensor
    """[B, T, F] float32; or [B, T, G] int32 n-gram buckets where the stream has `ngrams`."""
    targets: tf.Tensor
    """[B, T] int32 class ids (softmax), or [B, T, C] float32 (sigmoid, linear)."""
    loss_weights: tf.Tensor
    """[B, T] float32; 0 = not trained on."""
    eval_weights: tf.Tensor
    """[B, T] float32; 0 = not scored."""
    lengths: tf.Tensor
    """[B] int32; steps at and after the length are padding."""
    task_id: tf.Tensor
    """[B] int32."""


class Source(Protocol):
    """A split of one task."""

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
    """One task of a stream."""

    task_id: int
    name: str
    """Short label, e.g. a language code: letters, digits and `_`."""
    train: Source
    test: Source
    validation: Source | None = None


@dataclass(frozen=True)
class TaskStream(Sequence[Task]):
    """The tasks of a benchmark in the order in which they are learned."""

    name: str
    tasks: tuple[Task, ...]
    num_features: int
    """F: width of the main network's inputs (of the embedding, where inputs are n-grams)."""
    num_outputs: int
    """C: outputs of one head."""
    loss: Loss
    data_source: str
    """Where the data came from, in words; stands beside every result."""
    class_names: tuple[str, ...] = ()
    """Names of the C classes, where they have names."""
    ngrams: NgramInputs | None = None
    input_model: InputModel | None = InputModel()
    """How inputs can be generated; None where generated sequences would not be of use."""
    data_facts: Mapping[str, object] = field(default_factory=dict)
    """Facts about the data that stand in `results.json`."""

    def __post_init__(self) -> None:
        require(len(self.tasks) > 0, "a task stream needs at least one task. Received: 0.")
        ids = [task.task_id for task in self.tasks]
        require(ids == list(range(len(ids))), f"task ids must count from 0. Received: {ids}.")
        names = [task.name for task in self.tasks]
        require(len(set(names)) == len(names), f"task names must differ. Received: {names}.")

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, index: int) -> Task:  # type: ignore[override]
        return self.tasks[index]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)
