"""Runs one experiment: data, trainer, run directory, exports, report."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import tensorflow as tf

from clrnn_tf.checkpoints import TaskCheckpoints
from clrnn_tf.compilation import uses_xla
from clrnn_tf.config import Experiment
from clrnn_tf.distribution import SingleWorker, Workers
from clrnn_tf.experiment import build_trainer
from clrnn_tf.inference import TaskInference
from clrnn_tf.learning import learn
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.progress import ProgressReporter
from clrnn_tf.recording import FileRecorder
from clrnn_tf.report import Comparison, comparison_from_run, write_report
from clrnn_tf.run_directory import RunDirectory
from clrnn_tf.tasks import TaskStream
from clrnn_tf.tensorboard import TensorBoardRecorder
from clrnn_tf.training import Trainer, TrainingDivergedError
from data_pipelines.storage import find_data_dir
from export.saved_model import Exporter
from trainers.inference import infer_tasks
from trainers.presets import Benchmark, RunOptions
from trainers.quiet import closed_stderr


def execute(benchmark: Benchmark, experiment: Experiment, options: RunOptions, preset_name: str) -> int:
    """Run the experiment and return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    with closed_stderr():
        workers = Workers() if options.distribute else SingleWorker()
        tf.zeros([]) + 1.0  # devices announce themselves when they are first used
    comparisons = [comparison_from_run(path) for path in options.compare_with]  # bad ones are reported at once
    run = RunDirectory.open(options.out, experiment) if options.resume else None
    matrix = run.load() if run else None
    finished = matrix is not None and matrix.finished
    if finished and not options.infer_task:
        print(f"the run in {options.out} is finished; nothing to do.")
        return 0
    data_dir = find_data_dir(options.data_dir) if benchmark.uses_data else None
    stream = benchmark.pipeline.make_stream(experiment.data, data_dir)
    trainer = build_trainer(experiment, stream, workers=workers)
    inference = None
    if options.infer_task:
        inference = TaskInference(trainer.model, len(stream), uses_xla(experiment.train))
    if run is not None:
        run.require_data_source(stream.data_source)
    elif workers.rank == 0:
        provenance = {
            "preset": preset_name,
            "data_source": stream.data_source,
            "data_dir": str(data_dir.absolute()) if data_dir else None,
        }
        run = RunDirectory.create(options.out, experiment, provenance, options.overwrite)
    if matrix is not None:
        TaskCheckpoints(run.checkpoints, trainer).restore(len(matrix.rows) - 1)
    print(f"{benchmark.name}, preset {preset_name}, method {experiment.method}, {len(stream)} tasks, to {options.out}")
    print(f"data: {stream.data_source}", flush=True)
    compared = [*comparisons, *_published(benchmark, preset_name)]
    if finished:
        infer_tasks(inference, stream, matrix, run, experiment.train.eval_batch_size)
        print(f"results in {run.results}, report in {write_report(run.path, compared)}")
        return 0
    try:
        if workers.rank > 0:  # the first worker records for all
            learn(stream, trainer, matrix=matrix)
            return 0
        difference = _learn_and_record(stream, trainer, matrix, run, experiment)
    except TrainingDivergedError as error:
        print(f"error: {error} What was learned before is in {options.out}.", file=sys.stderr)
        return 1
    if inference is not None:
        infer_tasks(inference, stream, run.load(), run, experiment.train.eval_batch_size)
    report = write_report(run.path, compared)
    print(f"exported {len(stream)} models to {run.export}; largest difference {difference:.1e}")
    print(f"results in {run.results}, report in {report}")
    return 0


def _learn_and_record(
    stream: TaskStream, trainer: Trainer, matrix: ResultMatrix | None, run: RunDirectory, experiment: Experiment
) -> float:
    """Learn what is left to learn; the largest difference of an export from the model."""
    exporter = Exporter(trainer.model, run.export)
    trainer.observers += [
        FileRecorder(run, experiment, trainer.method.report()),
        TensorBoardRecorder(run.tensorboard, experiment),
        exporter,
        ProgressReporter(),
    ]
    learn(stream, trainer, matrix=matrix, save_task=TaskCheckpoints(run.checkpoints, trainer).save)
    return exporter.largest_difference


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
