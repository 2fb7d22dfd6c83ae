"""An observer for MLflow, where it is installed (`pip install clrnn_tf[mlflow]`)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clrnn_tf.config import Experiment
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording.hyperparameters import hyperparameters
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tracking import TrackingRecorder
from clrnn_tf.streams.tasks import TaskStream

_TAG = "clrnn_tf.run"  # by which a resumed run finds itself
_AT_ONCE = 100  # settings that MLflow takes in one call
_LONGEST = 500  # characters of a setting


class MLflowRecorder(TrackingRecorder):
    """Sends a run to MLflow: settings as parameters, series as metrics, and the files of the results.

    The experiment of MLflow is the name of the benchmark, the run has the name of its directory.

    Args:
      run: The run directory.
      experiment: The settings.
      tracking_uri: Where MLflow keeps its runs; by default what `MLFLOW_TRACKING_URI` says, as for any program.

    Raises:
      ConfigurationError: MLflow is not installed.
    """

    def __init__(self, run: RunDirectory, experiment: Experiment, tracking_uri: str | None = None) -> None:
        super().__init__(run, experiment)
        try:
            self._mlflow: Any = importlib.import_module("mlflow")
        except ImportError:
            raise ConfigurationError("MLflow is not installed. Install it: pip install mlflow-skinny.") from None
        self._tracking_uri, self._run_id = tracking_uri, ""
        self._client: Any = None

    def open(self, stream: TaskStream) -> int:
        """Begin a run, or go on with the one that has the tag of this run."""
        self._client = client = self._mlflow.MlflowClient(self._tracking_uri)
        name = self._experiment.benchmark or stream.name
        known = client.get_experiment_by_name(name)
        experiment_id = known.experiment_id if known is not None else client.create_experiment(name)
        found = client.search_runs([experiment_id], f"tags.`{_TAG}` = '{self.identity}'", max_results=1)
        if found:
            self._run_id = found[0].info.run_id
            client.update_run(self._run_id, status="RUNNING")
            return max((entry.step for entry in client.get_metric_history(self._run_id, "train/loss")), default=-1)
        tags = {_TAG: self.identity, "method": self._experiment.method, "data": stream.data_source}
        self._run_id = client.create_run(experiment_id, tags=tags, run_name=self._run.path.name).info.run_id
        params = [
            self._mlflow.entities.Param(key, str(value)[:_LONGEST])
            for key, value in hyperparameters(self._experiment).items()
        ]
        for first in range(0, len(params), _AT_ONCE):
            client.log_batch(self._run_id, params=params[first : first + _AT_ONCE])
        return -1

    def send(self, values: Mapping[str, float], step: int) -> None:
        """Send values by name."""
        now = int(1000 * time.time())
        metrics = [self._mlflow.entities.Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def close(self, files: list[Path], error: BaseException | None) -> None:
        """Send files, and end the run as finished, failed or killed."""
        if self._client is None:
            return
        for path in files:
            self._client.log_artifact(self._run_id, str(path))
        stopped = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        self._client.set_terminated(self._run_id, "FINISHED" if error is None else stopped)
