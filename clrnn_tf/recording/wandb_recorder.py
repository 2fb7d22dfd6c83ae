"""An observer for Weights & Biases, where it is installed (`pip install clrnn_tf[wandb]`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from clrnn_tf.config import Experiment
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tracking import TrackingRecorder
from clrnn_tf.streams.tasks import TaskStream


class WandbRecorder(TrackingRecorder):
    """Sends a run to Weights & Biases: settings, series, results as summary, and the files of the results.

    The project is `clrnn_tf` unless `WANDB_PROJECT` says another; the run has the name of its directory, and its group
    is the benchmark.

    Args:
      run: The run directory.
      experiment: The settings.
      mode: `offline` keeps the run on this machine until `wandb sync`; by default what `WANDB_MODE` says.
      directory: Where its own files go; by default what `WANDB_DIR` says, else the working directory.

    Raises:
      ConfigurationError: The package is not installed.
    """

    def __init__(
        self,
        run: RunDirectory,
        experiment: Experiment,
        mode: Literal["online", "offline"] | None = None,
        directory: Path | None = None,
    ) -> None:
        super().__init__(run, experiment)
        try:
            self._wandb: Any = importlib.import_module("wandb")
        except ImportError:
            raise ConfigurationError("Weights & Biases is not installed. Install it: pip install wandb.") from None
        self._mode, self._directory = mode, directory
        self._live: Any = None

    def open(self, stream: TaskStream) -> int:
        """Begin a run, or go on with the one that has the identity of this run."""
        self._live = live = self._wandb.init(
            project=self._wandb.setup().settings.project or "clrnn_tf",
            id=self.identity,
            name=self._run.path.name,
            group=self._experiment.benchmark or stream.name,
            config=self._experiment.to_dict(),
            dir=self._directory,
            mode=self._mode,
            resume="allow",
        )
        live.define_metric("result/*", step_metric="tasks_learned")
        return live.step - 1 if live.resumed else -1

    def send(self, values: Mapping[str, float], step: int) -> None:
        """Send values by name."""
        self._live.log(dict(values), step=step)

    def close(self, files: list[Path], error: BaseException | None) -> None:
        """Send files, and end the run."""
        if self._live is None:
            return
        for path in files:
            self._live.save(str(path), base_path=str(path.parent), policy="now")
        self._live.finish(exit_code=0 if error is None else 1)
