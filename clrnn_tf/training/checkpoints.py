"""Checkpoints after each task, from which a run can be resumed."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.training.trainer import Trainer


class TaskCheckpoints:
    """All variables of a trainer after each task, one TensorFlow checkpoint per task.

    Give `save` to `clrnn_tf.learn`. To continue a stopped run, `restore` the last task that was learned and give
    `learn` the matrix of its results.

    Args:
      directory: Where they are written: `task000`, `task001`, ...
      trainer: What is saved and restored: its variables, and the state of its method.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> import tempfile
      >>> from pathlib import Path
      >>> from clrnn_tf import TaskCheckpoints, learn
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     checkpoints = TaskCheckpoints(Path(folder), trainer)
      ...     matrix = learn(stream, trainer, save_task=checkpoints.save)
      ...     checkpoints.restore(0)  # as after the first task
    """

    def __init__(self, directory: Path, trainer: Trainer) -> None:
        self._directory = directory
        variables = [*trainer.variables, *trainer.method.state_variables(), *trainer.model.state_variables()]
        self._checkpoint = tf.train.Checkpoint(**{f"variable{i:04d}": variable for i, variable in enumerate(variables)})

    def save(self, task_id: int) -> None:
        """Write the variables as they are after learning task `task_id`.

        Raises:
          OSError: They cannot be written: the disk is full or read-only, or the run directory is gone.
        """
        self._directory.mkdir(exist_ok=True)  # not its parents: a run that was deleted meanwhile stays deleted
        try:
            self._checkpoint.write(str(self._prefix(task_id)))
        except tf.errors.OpError as error:
            raise OSError(f"{self._prefix(task_id)} could not be written: {_first_line(error)}") from None

    def restore(self, task_id: int) -> None:
        """Set the variables to what they were after task `task_id`.

        Raises:
          ConfigurationError: There is no checkpoint of this task, or it is damaged. Then the variables mean nothing.
        """
        prefix = self._prefix(task_id)
        if not prefix.with_suffix(".index").exists():
            raise ConfigurationError(
                f"no checkpoint of task {task_id} in {self._directory}. Start the run anew with --overwrite."
            )
        try:
            self._checkpoint.read(str(prefix)).assert_consumed()
        except (AssertionError, DecodeError, LookupError, RuntimeError, ValueError, tf.errors.OpError) as error:
            raise ConfigurationError(
                f"{prefix} is damaged ({_first_line(error)}). Restore it from a copy, or start the run anew with "
                "--overwrite."
            ) from None

    def restore_latest(self, task_id: int) -> int:
        """Restore the last task up to `task_id` whose checkpoint can be read, with a warning if it is an earlier one.

        Returns:
          The task.

        Raises:
          ConfigurationError: None can be read.
        """
        try:
            self.restore(task_id)
        except ConfigurationError as error:
            for earlier in reversed(range(task_id)):
                with contextlib.suppress(ConfigurationError):
                    self.restore(earlier)
                    warnings.warn(f"{error} Going on after task {earlier} instead.", stacklevel=2)
                    return earlier
            raise
        return task_id

    def _prefix(self, task_id: int) -> Path:
        return self._directory / f"task{task_id:03d}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
