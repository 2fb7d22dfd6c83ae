"""Checks of a task stream: are its batches a pure function of (seed, task, step)?

If they are, a run that is continued at any step trains on the batches of one that was never stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.streams.joint import joint_task
from clrnn_tf.streams.tasks import Batch, Task, TaskStream


def check_stream(stream: TaskStream, batch_size: int = 4, num_steps: int = 8, seed: int = 0) -> None:
    """Require that a run on a stream can be continued at every step.

    For every task, and for the task that mixes all of them, the first `num_steps` training batches are read once from
    the beginning and once from each later step. Each time, all batches must be the same, bit for bit. Every test and
    validation split is read twice. Take so many steps that `num_steps * batch_size` is more than an epoch.

    Args:
      stream: The stream, of any kind.
      batch_size: Sequences of a batch.
      num_steps: Training batches of each task that are compared.
      seed: Seed of the batches.

    Raises:
      ConfigurationError: Something differs; the message names the task, the step and the field of the batch.

    Example: a stream whose examples come in another order each time.
      >>> import tensorflow as tf
      >>> from clrnn_tf import Batch, ConfigurationError, DatasetSplit, Task, TaskStream, check_stream
      >>> def examples():
      ...     steps = tf.ones([2])
      ...     numbers = tf.data.Dataset.range(50).shuffle(50)  # a new order each time
      ...     inputs = numbers.map(lambda number: tf.fill([2, 3], tf.cast(number, tf.float32)))
      ...     return inputs.map(lambda input: Batch(input, tf.zeros([2], tf.int32), steps, steps, 2, 0))
      >>> task = Task(0, "a", train=DatasetSplit(examples, 50), test=DatasetSplit(examples, 50))
      >>> stream = TaskStream("mine", (task,), num_features=3, num_outputs=2, outputs="softmax", data_source="numbers")
      >>> try:
      ...     check_stream(stream)
      ... except ConfigurationError as error:
      ...     print(str(error).partition(".")[0])
      test batches of task a differ when they are read again: inputs of step 0
    """
    require(num_steps > 1, f"num_steps must be above 1. Received: {num_steps}.")
    mixed = [joint_task(stream)] if len(stream) > 1 else []
    for task in (*stream, *mixed):
        _check_training(task, batch_size, num_steps, seed)
    for task in stream:
        for name, split in (("test", task.test), ("validation", task.validation)):
            if split is not None:
                ones, others = (list(split.in_order(batch_size, task.task_id).as_numpy_iterator()) for _ in range(2))
                _require_equal(ones, others, f"{name} batches of task {task.name} differ when they are read again")


def _check_training(task: Task, batch_size: int, num_steps: int, seed: int) -> None:
    straight: list[Batch] = []
    for start in (None, *range(num_steps)):
        begin = () if start is None else (start,)
        dataset = task.train.batches(batch_size, seed, task.task_id, *begin).take(num_steps - (start or 0))
        batches = list(dataset.as_numpy_iterator())
        require(
            len(batches) == num_steps - (start or 0),
            f"training batches of task {task.name} must never end. Received: {len(batches)} batches from step "
            f"{start or 0} on.",
        )
        straight = straight or batches
        what = f"training batches of task {task.name} differ when they are read from step {start} on"
        _require_equal(straight[start or 0 :], batches, what, start or 0)


def _require_equal(ones: Sequence[Batch], others: Iterable[Batch], what: str, first_step: int = 0) -> None:
    for step, (one, other) in enumerate(itertools.zip_longest(ones, others), first_step):
        if one is None or other is None:
            raise ConfigurationError(f"{what}: their number.")
        for name, before, now in zip(Batch._fields, one, other, strict=True):
            require(
                _bits(before) == _bits(now),
                f"{what}: {name} of step {step}. Make every random draw a function of (seed, task, step).",
            )


def _bits(values: np.ndarray) -> tuple[object, ...]:
    values = np.asarray(values)
    return values.dtype, values.shape, values.tobytes()
