"""TensorBoard events of a run: losses by name, validation, results, HParams, task embeddings, samples."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb

from clrnn_tf.config import Experiment
from clrnn_tf.durable_files import sync_file
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.pictures import attempted
from clrnn_tf.recording.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.heat_maps import matrix_image
from clrnn_tf.recording.hyperparameters import columns, hyperparameters, metric_columns
from clrnn_tf.recording.projector import write_projector
from clrnn_tf.recording.series import StepsOfAllTasks, result_series, training_series, validation_series
from clrnn_tf.streams.tasks import TaskStream

_SUFFIX = ".from_task"  # of the names of our event files
_MOST_PICTURES = 10  # of the matrix in a run, one more at its end


class TensorBoardRecorder(Observer):
    """Writes events under `directory`.

    The horizontal axis of `train/` and `validation/` is the step over all tasks, which does not begin anew with a task.
    That of `result/`, `test_accuracy/` and the result matrix is the number of tasks learned.

    Args:
      directory: Where the event files go.
      experiment: Settings shown in the HParams tab, in one row for each run.
      samples: Draws training examples of a stream as a PNG file.
      varied: Settings that a search has varied, by dotted name; they have columns of their own in the HParams tab.

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

    def __init__(
        self,
        directory: Path,
        experiment: Experiment,
        samples: Callable[[TaskStream], bytes] | None = None,
        varied: Sequence[str] = (),
    ) -> None:
        self._directory, self._experiment = directory, experiment
        self._samples, self._varied = samples, varied
        self._writer: tf.summary.SummaryWriter = tf.summary.create_noop_writer()  # until a run begins
        self._steps = StepsOfAllTasks(experiment.train.steps)
        self._rewound = False

    def recorded(self) -> dict[str, int]:
        """The sizes of the event files, and the steps of the tasks that are learned."""
        with self._writing(0):
            self._writer.flush()
        return {**{path.name: sync_file(path) for path in self._files()}, **self._steps.recorded()}

    def rewind(self, recorded: Mapping[str, int]) -> None:
        """Cut the event files to what they were at the checkpoint, and remove later ones."""
        self._rewound = True
        self._steps.rewind(recorded)
        for path in self._files():
            size = recorded.get(path.name, 0)
            if size == 0:
                path.unlink()
            elif size <= path.stat().st_size:
                os.truncate(path, size)
            else:
                warnings.warn(f"{path} was cut; curves in TensorBoard have gaps.", stacklevel=2)
        if not recorded:
            shutil.rmtree(self._directory / "plugins", ignore_errors=True)
        for name in sorted(recorded.keys() - {path.name for path in self._files()}):
            if _SUFFIX in name:
                warnings.warn(f"{self._directory / name} is missing; curves in TensorBoard have gaps.", stacklevel=2)

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Open an event file; its name has the task with which a continued run begins."""
        if first_task == 0 and not self._rewound:
            self.rewind({})  # nothing is recorded twice where a run begins anew without checkpoints
        self._steps.began(first_task)
        goes_on = bool(self._files())
        with self._writing(0):
            suffix = f"{_SUFFIX}{first_task}"
            self._writer = tf.summary.create_file_writer(str(self._directory), filename_suffix=suffix)
        if not goes_on:
            self._describe(stream)

    def _describe(self, stream: TaskStream) -> None:
        """What is written once: settings and samples."""
        with self._writing(0):
            hparams.hparams_config(columns(self._varied), metric_columns())
            hparams.hparams(hyperparameters(self._experiment), trial_id="")  # a row of its own, by its directory
            if self._samples is not None:
                picture = tf.io.decode_png(self._samples(stream), channels=3)
                tf.summary.image("samples", picture[tf.newaxis])

    def trained(self, log: TrainingLog) -> None:
        """Losses by name, accuracy, gradient norm, speed, and the number of the task."""
        self._scalars(training_series(log), self._steps.of(log.step))

    def validated(self, log: ValidationLog) -> None:
        """All validation scores."""
        self._scalars(validation_series(log), self._steps.of(log.step))

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Headline numbers so far, test scores of every task, embeddings, and now and then the matrix as an image."""
        self._steps.learned(result.steps)
        step = len(matrix.rows)
        self._scalars(result_series(result, matrix), step)
        is_drawn = matrix.finished or step % -(-matrix.num_tasks // _MOST_PICTURES) == 0
        image = attempted(lambda: matrix_image(matrix), "the matrix of results") if is_drawn else None
        with self._writing(step):
            if image is not None:
                tf.summary.image("result_matrix", image[tf.newaxis])
            self._writer.flush()
        if result.task_embeddings is not None:
            write_projector(self._directory, result.task_embeddings, matrix)

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Say that the run is done, and close the event file."""
        with self._writing(0):
            done = session_end_pb(api_pb2.STATUS_SUCCESS)
            tf.summary.experimental.write_raw_pb(done.SerializeToString(), step=0)
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

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        with self._writing(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
