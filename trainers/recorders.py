"""Who records a run: files, TensorBoard, the terminal, and the trackers that were asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable

from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.progress import ProgressReporter
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tensorboard import TensorBoardRecorder
from clrnn_tf.recording.trackers import TRACKERS
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.training.trainer import Trainer
from data_pipelines.describe import samples_png
from trainers.presets import Benchmark
from trainers.settings import Command


def recorders(command: Command, run: RunDirectory, trainer: Trainer) -> list[Observer]:
    """The observers that record what a command does in its run directory."""
    experiment = command.experiment
    return [
        FileRecorder(run, experiment, {**trainer.method.facts(), **trainer.model.facts()}),
        TensorBoardRecorder(run.tensorboard, experiment, samples=samples_of(command.benchmark), varied=command.varied),
        ProgressReporter(),
        *(TRACKERS[name](run, experiment) for name in command.options.track),
    ]


def samples_of(benchmark: Benchmark) -> Callable[[TaskStream], bytes] | None:
    """Draws training examples of a stream as a PNG file; None where the benchmark does not say how."""
    draw = getattr(benchmark.pipeline, "draw_example", None)
    return None if draw is None else functools.partial(samples_png, draw=draw)
