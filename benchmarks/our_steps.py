"""Our own steps, through the trainer that every run uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from benchmarks.shapes import Shape
from clrnn_tf.config import Experiment
from clrnn_tf.experiment import build_trainer
from clrnn_tf.streams.splits import batches_of_any_length
from clrnn_tf.streams.tasks import Batch
from clrnn_tf.training.task_progress import zero_sums
from clrnn_tf.training.trainer import Trainer

Run = Callable[[int], None]


def repeated(batches: Sequence[Batch]) -> tf.data.Dataset:
    """The same batches over and over, from memory."""
    first, *others = (tf.data.Dataset.from_tensors(Batch(*map(tf.constant, batch))) for batch in batches)
    for other in others:
        first = batches_of_any_length(first).concatenate(batches_of_any_length(other))
    return first.repeat()


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
    return training(trainer, dataset, task_id)


def training_from_memory(trainer: Trainer, batches: Sequence[Batch], task_id: int) -> Run:
    """Steps fed with batches that are already there."""
    return training(trainer, repeated(batches), task_id)


def evaluation(trainer: Trainer, shape: Shape, task_id: int) -> Run:
    """Evaluations of the whole test split as in every run, for so many batches altogether."""
    task = shape.stream[task_id]
    batches_of_test = -(-task.test.num_examples // trainer.config.eval_batch_size)

    def run(count: int) -> None:
        for _ in range(0, count, batches_of_test):
            trainer.evaluate(task, task.test)

    return run


def training(trainer: Trainer, dataset: tf.data.Dataset, task_id: int) -> Run:
    """Steps fed by a dataset without end."""
    iterator = iter(batches_of_any_length(dataset))
    sums = zero_sums(trainer.step.loss_names)

    def run(steps: int) -> None:
        done = trainer.train_steps(iterator, tf.constant(task_id), tf.constant(0), tf.constant(steps), sums)[-1]
        if int(done) < steps:
            raise ArithmeticError(f"a step is not finite: {steps} steps wanted, {int(done)} done")

    return run
