"""All tasks at once: one split whose batches mix the tasks of a stream."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from clrnn_tf.streams.splits import batches_of_any_length
from clrnn_tf.streams.tasks import Split, Task, TaskStream


class JointSplit:
    """A `Split` of the examples of several tasks; `task_id` of a batch gives the task of each example.

    For every example of a training batch a task is drawn, all with equal probability, and the next example in the
    training order of this task is taken. Batches are padded to their longest example.

    Args:
      splits: One for each task, in order of task ids.
    """

    def __init__(self, splits: Sequence[Split]) -> None:
        self._splits = tuple(splits)
        self.num_examples = sum(split.num_examples for split in splits)
        known = [split.max_time for split in splits if split.max_time is not None]
        self.max_time = max(known) if len(known) == len(splits) else None
        self.lengths_vary = any(split.lengths_vary for split in splits)

    def batches(self, batch_size: int, seed: int, task_id: int, start_step: int = 0) -> tf.data.Dataset:
        """See `Split.batches`; the draw of tasks is a function of (seed, step). `task_id` is ignored."""

        def draw(step: tf.Tensor) -> tf.Tensor:
            key = tf.stack([tf.constant(seed, tf.int64), step])
            return tf.random.stateless_uniform([batch_size], key, 0, len(self._splits), tf.int64)

        tasks = [
            batches_of_any_length(split.batches(batch_size, seed, number).unbatch(), axes=(0,))
            for number, split in enumerate(self._splits)
        ]
        choices = tf.data.Dataset.counter().map(draw).unbatch()
        examples = tf.data.Dataset.choose_from_datasets(tasks, choices, stop_on_empty_dataset=False)
        return examples.skip(start_step * batch_size).padded_batch(batch_size, drop_remainder=True).prefetch(2)

    def in_order(self, batch_size: int, task_id: int) -> tf.data.Dataset:
        """See `Split.in_order`: one task after another. `task_id` is ignored."""
        tasks = [split.in_order(batch_size, number) for number, split in enumerate(self._splits)]
        joined = tasks[0]
        for task in tasks[1:]:
            joined = joined.concatenate(task)
        return joined


def joint_task(stream: TaskStream) -> Task:
    """All tasks of a stream as one task, of id 0, that is trained and tested on the examples of all."""
    return Task(
        task_id=0,
        name="all_tasks",
        train=JointSplit([task.train for task in stream]),
        test=JointSplit([task.test for task in stream]),
        parts=stream.tasks,
    )
