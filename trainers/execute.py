"""Runs one experiment: data, trainer, run directory, exports, report."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

from clrnn_tf.config import Experiment
from clrnn_tf.experiment import TaskCheckpoints, build_trainer
from clrnn_tf.learning import learn
from clrnn_tf.progress import ProgressReporter
from clrnn_tf.recording import FileRecorder, RunDirectory
from clrnn_tf.report import Comparison, comparison_from_run, write_report
from clrnn_tf.tensorboard import TensorBoardRecorder
from clrnn_tf.training import TrainingDivergedError
from data_pipelines.storage import find_data_dir
from export.saved_model import Exporter
from trainers.presets import Benchmark, RunOptions


def execute(benchmark: Benchmark, experiment: Experiment, options: RunOptions, preset_name: str) -> int:
    """Run the experiment and return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    comparisons = [comparison_from_run(path) for path in options.compare_with]  # bad ones are reported at once
    run = RunDirectory.open(options.out, experiment) if options.resume else None
    matrix = run.load() if run else None
    if matrix is not None and matrix.finished:
        print(f"the run in {options.out} is finished; nothing to do.")
        return 0
    data_dir = find_data_dir(options.data_dir) if benchmark.uses_data else None
    stream = benchmark.pipeline.make_stream(experiment.data, data_dir)
    if run is not None:
        run.require_data_source(stream.data_source)
    else:
        provenance = {
            "preset": preset_name,
            "data_source": stream.data_source,
            "data_dir": str(data_dir.absolute()) if data_dir else None,
        }
        run = RunDirectory.create(options.out, experiment, provenance, options.overwrite)
    print(f"{benchmark.name}, preset {preset_name}, method {experiment.method}, {len(stream)} tasks, to {run.path}")
    print(f"data: {stream.data_source}", flush=True)
    trainer = build_trainer(experiment, stream)
    checkpoints = TaskCheckpoints(run.checkpoints, trainer)
    if matrix is not None:
        checkpoints.restore(len(matrix.rows) - 1)
    exporter = Exporter(trainer.model, run.export)
    trainer.observers += [
        FileRecorder(run, experiment, trainer.method.report()),
        TensorBoardRecorder(run.tensorboard, experiment),
        exporter,
        ProgressReporter(),
    ]
    try:
        learn(stream, trainer, matrix=matrix, save_task=checkpoints.save)
    except TrainingDivergedError as error:
        print(f"error: {error} What was learned before is in {run.path}.", file=sys.stderr)
        return 1
    report = write_report(run.path, [*comparisons, *_published(benchmark, preset_name)])
    print(f"exported {len(stream)} models to {run.export}; largest difference {exporter.largest_difference:.1e}")
    print(f"results in {run.results}, report in {report}")
    return 0


def _published(benchmark: Benchmark, preset_name: str) -> list[Comparison]:
    preset = benchmark.presets[preset_name]
    expected = preset.expected
    if expected is None:
        return []
    settings = f" ({preset.published_settings})" if preset.published_settings else ""
    label = f"{preset.method} (expected)"
    return [Comparison(label, expected.during, expected.final, None, expected.source + settings)]


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
