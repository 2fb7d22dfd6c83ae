"""TensorBoard events of a run: losses by name, validation, the result matrix as an image, HParams."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from clrnn_tf.config import Experiment
from clrnn_tf.durable_files import sync_file
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.figures import matrix_image
from clrnn_tf.streams.tasks import TaskStream

_SUFFIX = ".from_task"  # of the names of our event files
_MOST_PICTURES = 10  # of the matrix in a run, one more at its end
_HEADLINES = ("mean_during_accuracy", "mean_final_accuracy", "forgetting")


class TensorBoardRecorder(Observer):
    """Writes events under `directory`; the horizontal axis is the step within a task, or the task for the matrix.

    Args:
      directory: Where the event files go.
      experiment: Settings shown in the HParams tab.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> import tempfile
      >>> from pathlib import Path
      >>> from clrnn_tf import TensorBoardRecorder, learn
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     trainer.observers.append(TensorBoardRecorder(Path(folder), experiment))
      ...     matrix = learn(stream, trainer)
      ...     any(path.is_file() for path in Path(folder).rglob("*tfevents*"))
      True
    """

    def __init__(self, directory: Path, experiment: Experiment) -> None:
        self._directory, self._experiment = directory, experiment
        self._writer: tf.summary.SummaryWriter = tf.summary.create_noop_writer()  # until a run begins

    def recorded(self) -> dict[str, int]:
        """The sizes of the event files."""
        with self._writing(0):
            self._writer.flush()
        return {path.name: sync_file(path) for path in self._files()}

    def rewind(self, recorded: Mapping[str, int]) -> None:
        """Cut the event files to what they were at the checkpoint, and remove later ones."""
        for path in self._files():
            size = recorded.get(path.name, 0)
            if size == 0:
                path.unlink()
            elif size <= path.stat().st_size:
                os.truncate(path, size)
            else:
                warnings.warn(f"{path} was cut; curves in TensorBoard have gaps.", stacklevel=2)
        for name in sorted(recorded.keys() - {path.name for path in self._files()}):
            if _SUFFIX in name:
                warnings.warn(f"{self._directory / name} is missing; curves in TensorBoard have gaps.", stacklevel=2)

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Open an event file; its name has the task with which a continued run begins."""
        goes_on = bool(self._files())
        with self._writing(0):
            suffix = f"{_SUFFIX}{first_task}"
            self._writer = tf.summary.create_file_writer(str(self._directory), filename_suffix=suffix)
        if not goes_on:
            with self._writing(0):
                hparams.hparams(_flat(self._experiment.to_dict()), trial_id="run")

    def trained(self, log: TrainingLog) -> None:
        """Losses by name, accuracy, gradient norm and speed."""
        values = {
            **log.losses,
            "accuracy": log.accuracy,
            "gradient_norm": log.gradient_norm,
            "milliseconds_per_step": 1e3 * log.seconds_per_step,
        }
        self._scalars(f"train/{log.task.name}", values, log.step)

    def validated(self, log: ValidationLog) -> None:
        """All validation scores."""
        self._scalars(f"validation/{log.task.name}", log.evaluation.metrics, log.step)

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Headline numbers so far, test accuracy of every task, and now and then the matrix as an image."""
        step = len(matrix.rows)
        summary = matrix.summary()
        self._scalars("result", {name: summary[name] for name in _HEADLINES}, step)
        scores = zip(matrix.task_names, result.evaluations, strict=True)
        self._scalars("test_accuracy", {task: score.accuracy for task, score in scores}, step)
        image = matrix_image(matrix) if matrix.finished or step % -(-matrix.num_tasks // _MOST_PICTURES) == 0 else None
        if image is not None:
            with self._writing(step):
                tf.summary.image("result_matrix", image[tf.newaxis])
        with self._writing(step):
            self._writer.flush()

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Close the event file."""
        with self._writing(0):
            self._writer.close()

    def run_failed(self, error: BaseException) -> None:
        """Close the event file."""
        with contextlib.suppress(OSError), self._writing(0):
            self._writer.close()

    @contextlib.contextmanager
    def _writing(self, step: int) -> Iterator[None]:
        """Events are written in this block.

        Raises:
          OSError: They cannot be.
        """
        try:
            with self._writer.as_default(step=step):
                yield
        except tf.errors.OpError as error:
            raise OSError(f"{self._directory} could not be written: {error.message.splitlines()[0]}") from None

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(f"*tfevents*{_SUFFIX}*"))

    def _scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        with self._writing(step):
            for name, value in values.items():
                if not math.isnan(value):
                    tf.summary.scalar(f"{group}/{name}", value)


def _flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Settings by dotted name, as the HParams plugin wants them: numbers and strings."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            flat.update(_flat(value, name))
        else:
            flat[name] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat
