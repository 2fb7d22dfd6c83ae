"""Checkpoints after each task, from which a run goes on."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.training.trainer import Trainer


class TaskCheckpoints:
    """All variables of a trainer after each task, one TensorFlow checkpoint per task.

    Give `save` to `clrnn_tf.learn`. To go on with a stopped run, `restore` the last task that was learned and give
    `learn` the matrix of its results.

    Args:
      directory: Where they are written: `task000`, `task001`, ...
      trainer: What is saved and restored: its variables, and the state of its method.
    """

    def __init__(self, directory: Path, trainer: Trainer) -> None:
        self._directory = directory
        variables = [*trainer.variables, *trainer.method.state_variables(), *trainer.model.state_variables()]
        self._checkpoint = tf.train.Checkpoint(**{f"variable{i:04d}": each for i, each in enumerate(variables)})

    def save(self, task_id: int) -> None:
        """Write the variables as they are after learning task `task_id`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._checkpoint.write(str(self._prefix(task_id)))

    def restore(self, task_id: int) -> None:
        """Set the variables to what they were after task `task_id`.

        Raises:
          ConfigurationError: There is no checkpoint of this task.
        """
        prefix = self._prefix(task_id)
        if not prefix.with_suffix(".index").exists():
            raise ConfigurationError(f"no checkpoint of task {task_id} in {self._directory}. Start the run anew.")
        self._checkpoint.read(str(prefix)).assert_consumed()

    def _prefix(self, task_id: int) -> Path:
        return self._directory / f"task{task_id:03d}"
