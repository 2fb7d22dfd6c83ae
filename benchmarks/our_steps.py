"""Our own steps, through the trainer that every run uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from benchmarks.shapes import Shape
from clrnn_tf.config import Experiment
from clrnn_tf.experiment import build_trainer
from clrnn_tf.sources import batches_of_any_length
from clrnn_tf.tasks import Batch, Task
from clrnn_tf.training import Trainer

Run = Callable[[int], None]


class RepeatedBatches:
    """A source that yields the same batches over and over, from memory.

    Args:
      batches: Those batches.
      count: Batches that `in_order` yields.
    """

    def __init__(self, batches: Sequence[Batch], count: int) -> None:
        self._batches, self._count = batches, count
        self.num_examples = count * len(batches[0].lengths)
        self.lengths_vary = len({int(length) for batch in batches for length in batch.lengths}) > 1

    def batches(self, batch_size: int, seed: int, task_id: int, start_step: int = 0) -> tf.data.Dataset:
        """An endless dataset."""
        first, *others = (tf.data.Dataset.from_tensors(Batch(*map(tf.constant, batch))) for batch in self._batches)
        for other in others:
            first = batches_of_any_length(first).concatenate(batches_of_any_length(other))
        return first.repeat()

    def in_order(self, batch_size: int, task_id: int) -> tf.data.Dataset:
        """So many batches."""
        return self.batches(batch_size, 0, task_id).take(self._count)


def ready_trainer(experiment: Experiment, shape: Shape) -> Trainer:
    """An untrained trainer that stands before its last task."""
    trainer = build_trainer(experiment, shape.stream)
    trainer.method.before_task(shape.stream[len(shape.stream) - 1])
    return trainer


def training_from_pipeline(trainer: Trainer, shape: Shape, task_id: int) -> Run:
    """Steps fed as in every run."""
    dataset = shape.stream[task_id].train.batches(trainer.config.batch_size, 0, task_id)
    if shape.cycle > 1:
        dataset = dataset.take(shape.cycle).repeat().prefetch(2)
    return _training(trainer, dataset, task_id)


def training_from_memory(trainer: Trainer, batches: Sequence[Batch], task_id: int) -> Run:
    """Steps fed with batches that are already there."""
    return _training(trainer, RepeatedBatches(batches, 1).batches(0, 0, task_id), task_id)


def evaluation(trainer: Trainer, shape: Shape, batches: Sequence[Batch], task_id: int) -> Run:
    """Evaluation of so many batches that are already there."""
    sources: dict[int, RepeatedBatches] = {}
    task: Task = shape.stream[task_id]

    def run(count: int) -> None:
        source = sources.setdefault(count, RepeatedBatches(batches, count))
        trainer.evaluate(task, source)

    return run


def _training(trainer: Trainer, dataset: tf.data.Dataset, task_id: int) -> Run:
    iterator = iter(batches_of_any_length(dataset))

    def run(steps: int) -> None:
        done = trainer.train_steps(iterator, tf.constant(task_id), tf.constant(0), tf.constant(steps))[-1]
        if int(done) < steps:
            raise ArithmeticError(f"a step is not finite: {steps} steps wanted, {int(done)} done")

    return run
