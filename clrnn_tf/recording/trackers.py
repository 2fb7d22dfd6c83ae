"""Experiment trackers by the name that `--track` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clrnn_tf.config import Experiment
from clrnn_tf.recording.mlflow_recorder import MLflowRecorder
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tracking import TrackingRecorder
from clrnn_tf.recording.wandb_recorder import WandbRecorder

TRACKERS: Mapping[str, Callable[[RunDirectory, Experiment], TrackingRecorder]] = {
    "mlflow": MLflowRecorder,
    "wandb": WandbRecorder,
}
