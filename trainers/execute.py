"""Runs one command: a new run, a run that is continued, or a question to a finished one."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass

import tensorflow as tf

from clrnn_tf.durable_files import write_bytes
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.execution.compilation import uses_xla
from clrnn_tf.execution.distribution import SingleWorker, Workers
from clrnn_tf.experiment import build_trainer
from clrnn_tf.extension.certifier import RegressionError
from clrnn_tf.extension.settings import PROVENANCE
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.notices import closed_stderr
from clrnn_tf.recording.comparisons import Comparison, comparisons_from
from clrnn_tf.recording.coverage import few_vectors
from clrnn_tf.recording.identity import identity_of
from clrnn_tf.recording.report import is_whole_report, write_report
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.run_lock import RunLock
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.task_inference import TaskInference
from clrnn_tf.training.checkpoint_files import Checkpoint
from clrnn_tf.training.checkpoints import Checkpoints
from clrnn_tf.training.learning import learn
from clrnn_tf.training.stopping import StopRequest
from clrnn_tf.training.trainer import Trainer, TrainingDivergedError
from export.all_tasks import ALL_TASKS
from export.saved_model import ExportDiffersError, Exporter
from export.writing import is_whole
from trainers.expected import expected_of
from trainers.failures import one_line
from trainers.further_exports import export_further
from trainers.inference import infer_tasks
from trainers.one_more_task import beginning, certifiers
from trainers.recorders import recorders, samples_of
from trainers.settings import Command
from trainers.signals import stopped_by_signals
from trainers.stored_data import names_other_directory, warn_of_other_data
from trainers.streams import drop_output

_TOO_SHORT = "--quick: too short to learn; scores mean nothing."
_REFUSED = (MemoryError, OSError, tf.errors.ResourceExhaustedError)


@dataclass(frozen=True)
class Session:
    """A command with all that it needs to train."""

    command: Command
    comparisons: list[Comparison]
    stream: TaskStream
    trainer: Trainer
    workers: SingleWorker
    inference: TaskInference | None
    """Infers tasks, where `--infer-task` asks for it."""
    stop: StopRequest

    def checkpoints(self, run: RunDirectory) -> Checkpoints:
        """Writes and reads the checkpoints of a run."""
        every = self.command.options.checkpoint_every
        return Checkpoints(run.checkpoints, self.trainer, every, identity=self.identity, stop=self.stop)

    @property
    def identity(self) -> dict[str, object]:
        """What a run has in common with its checkpoints."""
        return identity_of(self.command.experiment, self.stream)

    @property
    def provenance(self) -> dict[str, object]:
        """Where the run comes from, for its `config.yaml`."""
        data_dir = self.command.data_dir
        return {
            "command": self.command.typed,
            "quick": self.command.options.quick,
            "preset": self.command.preset,
            "data_source": self.stream.data_source,
            "data_dir": str(data_dir.absolute()) if data_dir else None,
            "fingerprint": self.stream.data_facts.get("fingerprint"),
            **({PROVENANCE: self.command.extension.to_dict()} if self.command.extension else {}),
        }


def execute(command: Command) -> int:
    """Do what a command says and return the exit code.

    Raises:
      ConfigurationError: The settings, the data, or the run directory are not as they must be.
    """
    stop = StopRequest()
    with stopped_by_signals(stop):
        return _execute(command, stop)


def _execute(command: Command, stop: StopRequest) -> int:
    with closed_stderr():
        workers = Workers() if command.options.distribute else SingleWorker()
        tf.zeros([]) + 1.0  # devices announce themselves when they are first used
    comparisons = [row for path in command.options.compare_with for row in comparisons_from(path)]
    if not command.options.resume:
        return _new_run(command, comparisons, workers, stop)
    with _writes_alone(command, workers):
        run = RunDirectory.open(command.out, command.experiment)
        matrix = run.load()
        more = command.options.infer_task or command.options.publish or command.options.export
        if is_finished(run, command.exports) and not more:
            if names_other_directory(run.config, command.options.data_dir):
                run.require_same_data(command.benchmark.pipeline.make_stream(command.experiment.data, command.data_dir))
            print(f"the run in {command.out} is finished; nothing to do.")
            return 0
        session = _session(command, comparisons, workers, stop)
        begins_with = beginning(session) if matrix is None else None
        if begins_with is not None:  # the run was stopped before it had begun
            begins_with.write(run, session.identity)
            matrix = run.load()
        return _continued_run(session, run, matrix)


def _new_run(command: Command, comparisons: list[Comparison], workers: SingleWorker, stop: StopRequest) -> int:
    if workers.rank == 0:
        RunDirectory.require_writable(command.out, command.options.overwrite)  # before the data are read
    session = _session(command, comparisons, workers, stop)
    if workers.rank > 0:  # the first worker records for all
        learn(session.stream, session.trainer)
        return 0
    begins_with = beginning(session)
    with _writes_alone(command, workers):
        run = RunDirectory.create(command.out, command.experiment, session.provenance, command.options.overwrite)
        if begins_with is None:
            return _learn(session, run, None, None)
        begins_with.write(run, session.identity)
        return _continued_run(session, run, run.load())


def _continued_run(session: Session, run: RunDirectory, matrix: ResultMatrix | None) -> int:
    run.require_same_data(session.stream)
    start = session.checkpoints(run).latest(len(matrix.rows) if matrix is not None else 0)
    if start is not None:
        run.require_same_run(start.identity, session.identity, session.command.experiment)
    if matrix is not None:
        del matrix.rows[start.position.learned if start else 0 :]
    if session.workers.rank > 0:
        learn(session.stream, session.trainer, matrix=matrix, start=start)
        return 0
    return _learn(session, run, matrix, start)


def _writes_alone(command: Command, workers: SingleWorker) -> contextlib.AbstractContextManager[None]:
    """Keeps other processes from writing to the run directory; of several workers, the first one writes."""
    return RunLock(command.out) if workers.rank == 0 else contextlib.nullcontext()


def is_finished(run: RunDirectory, exports: bool = True) -> bool:
    """Whether a run has ended, and its results are there; exports and report, too, where it writes them."""
    matrix = run.load()
    if matrix is None or not matrix.finished:
        return False
    return not exports or (_is_exported(run, matrix) and is_whole_report(run.path))


def _is_exported(run: RunDirectory, matrix: ResultMatrix) -> bool:
    """Whether the model of every task, and that of all tasks, is there and can be loaded."""
    with closed_stderr():
        return all(is_whole(run.export / name / "1") for name in (*matrix.task_names, ALL_TASKS))


def _session(command: Command, comparisons: list[Comparison], workers: SingleWorker, stop: StopRequest) -> Session:
    """Read the data and build what learns them."""
    experiment = command.experiment
    if command.options.download:
        _download(command)
    stream = command.benchmark.pipeline.make_stream(experiment.data, command.data_dir)
    if command.options.config and command.options.data_dir is None:
        warn_of_other_data(command.options.config, experiment, stream)
    trainer = build_trainer(experiment, stream, workers=workers)
    inference = None
    if command.options.infer_task:
        inference = TaskInference(trainer.model, len(stream), uses_xla(experiment.train))
    expected = expected_of(command)
    return Session(command, [*comparisons, *expected], stream, trainer, workers, inference, stop)


def _download(command: Command) -> None:
    """Fetch what the settings read and is not there yet."""
    fetches = getattr(command.benchmark.pipeline, "download", None)
    if fetches is None:
        raise ConfigurationError(f"{command.benchmark.name} has nothing to download. Leave --download out.")
    fetches(command.experiment.data)


def _learn(session: Session, run: RunDirectory, matrix: ResultMatrix | None, start: Checkpoint | None) -> int:
    """Learn what is left to learn, and write what is missing of the exports and the report."""
    trainer, stream = session.trainer, session.stream
    _announce(session)
    if start is not None and start.position.step:
        print(f"continuing {start.position}", flush=True)
    if matrix is None or not matrix.finished:
        trainer.observers += recorders(session.command, run, trainer)
    trainer.observers += session.command.watchers
    is_complete = matrix is not None and matrix.finished and _is_exported(run, matrix)
    if not is_complete:
        trainer.observers += certifiers(session, run)
    exporter = Exporter(trainer.model, run.export)
    exports = session.command.exports
    if exports and not is_complete:
        trainer.observers.append(exporter)
    try:
        matrix = learn(stream, trainer, matrix=matrix, checkpoints=session.checkpoints(run), start=start)
        if exporter in trainer.observers:
            difference = exporter.largest_difference
            print(f"exported {len(stream)} tasks, and all in one, to {run.export}; largest difference {difference:.1e}")
        if exports:
            _infer_and_report(session, run, matrix)
        export_further(session, run)
    except RegressionError as error:
        print(f"report in {write_report(run.path, session.comparisons)}", flush=True)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (TrainingDivergedError, ExportDiffersError) as error:
        print(f"error: {error} What was learned before is in {run.path}.", file=sys.stderr)
        return 1
    except _REFUSED as error:
        print(f"error: {one_line(error)} What was learned before is in {run.path}.", file=sys.stderr)
        drop_output()
        return 1
    return 0


def _infer_and_report(session: Session, run: RunDirectory, matrix: ResultMatrix) -> None:
    if session.inference is not None:
        infer_tasks(session.inference, session.stream, matrix, run, session.command.experiment.train.eval_batch_size)
    samples = samples_of(session.command.benchmark)
    if samples is not None:
        write_bytes(run.path / "samples.png", samples(session.stream))
    print(f"results in {run.results}, report in {write_report(run.path, session.comparisons)}", flush=True)
    if session.command.options.quick:
        print(_TOO_SHORT, flush=True)


def _announce(session: Session) -> None:
    command, stream = session.command, session.stream
    print(
        f"{command.benchmark.name}, preset {command.preset}, method {command.experiment.method}, {len(stream)} tasks, "
        f"to {command.out}"
    )
    if command.options.quick:
        print(_TOO_SHORT)
    print(f"data: {stream.data_source}", flush=True)
    if "labels" in stream.data_facts:
        print(f"labels: {stream.data_facts['labels']}", flush=True)
    few = few_vectors(stream.data_facts)
    if few:
        print(few, flush=True)
