"""What observers for experiment trackers share: every value once, on one axis of steps, also after a resume."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from clrnn_tf.config import Experiment
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.run_directory import RunDirectory, provenance_of
from clrnn_tf.recording.series import StepsOfAllTasks, result_series, training_series, validation_series
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.yaml_files import read_settings


class TrackingRecorder(Observer, ABC):
    """Sends series and results of a run to a tracker.

    A run that is resumed goes on in the tracker's run that it began. A tracker cannot forget what was sent after the
    last checkpoint; since a resumed run repeats it with the same numbers, it is not sent again.

    Args:
      run: The run directory, whose `config.yaml`, `results.json` and `results.csv` the tracker gets at the end.
      experiment: The settings.
    """

    def __init__(self, run: RunDirectory, experiment: Experiment) -> None:
        self._run, self._experiment = run, experiment
        self._steps = StepsOfAllTasks(experiment.train.steps)
        self._sent = -1  # the last step that the tracker has

    @property
    def identity(self) -> str:
        """16 digits that are those of no other run, and stay when this one is resumed."""
        began = provenance_of(read_settings(self._run.config)).get("began", "")
        return hashlib.sha256(f"{self._run.path.absolute()} {began}".encode()).hexdigest()[:16]

    def recorded(self) -> dict[str, int]:
        """The steps of the tasks that are learned."""
        return self._steps.recorded()

    def rewind(self, recorded: Mapping[str, int]) -> None:
        """Count steps from the checkpoint on."""
        self._steps.rewind(recorded)

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Begin a run in the tracker, or go on with the one that is there."""
        self._steps.began(first_task)
        self._sent = self.open(stream)

    def trained(self, log: TrainingLog) -> None:
        """Losses by name, accuracy, gradient norm and speed."""
        self._send(training_series(log), self._steps.of(log.step))

    def validated(self, log: ValidationLog) -> None:
        """All validation scores."""
        self._send(validation_series(log), self._steps.of(log.step))

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Results so far, and test scores of every task."""
        self._steps.learned(result.steps)
        self._send({**result_series(result, matrix), "tasks_learned": len(matrix.rows)}, self._steps.of(0))

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Send the files, and say that the run is done."""
        files = (self._run.config, self._run.results, self._run.table)
        self.close([path for path in files if path.is_file()], None)

    def run_failed(self, error: BaseException) -> None:
        """Say that the run has failed, or was stopped."""
        self.close([], error)

    def _send(self, values: Mapping[str, float], step: int) -> None:
        if step > self._sent:
            self.send(values, step)

    @abstractmethod
    def open(self, stream: TaskStream) -> int:
        """Begin or continue; the last step that the tracker has, -1 for none."""

    @abstractmethod
    def send(self, values: Mapping[str, float], step: int) -> None:
        """Send values by name."""

    @abstractmethod
    def close(self, files: list[Path], error: BaseException | None) -> None:
        """Send files and end; `error` is what has stopped the run."""
