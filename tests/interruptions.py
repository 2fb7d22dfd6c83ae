"""Runs that are stopped anywhere and continued, in one process, and what they leave behind.

A trainer is compiled once. To begin a process anew, its variables are set back: those that a fresh process would have
get their initial values, and those that only a checkpoint or the beginning of a task sets get another value. So a run
that goes on with anything but its checkpoint ends with other numbers.
"""

import json
import shutil
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clrnn_tf import durable_files
from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.tensorboard import TensorBoardRecorder
from clrnn_tf.training.checkpoints import Checkpoints
from clrnn_tf.training.learning import learn

_NEVER_READ = 7  # the value of variables that a fresh process would not have


class Killed(BaseException):
    """Stands for the end of the process."""


class Left(NamedTuple):
    """What a finished run leaves, times apart."""

    results: dict
    table: str
    log: list
    curves: dict
    values: list


class Killer(Observer):
    """Counts the moments of a run, and ends it at one of them.

    Moments are events that observers are told, and each time a file is about to be renamed or has been.
    """

    def __init__(self):
        self.moments, self.kill_at = 0, None

    def moment(self, *_):
        self.moments += 1
        if self.moments == self.kill_at:
            raise Killed

    task_began = trained = validated = moment

    def task_learned(self, result, matrix):
        self.moment()

    def recorded(self):
        self.moment()
        return {}


class _System:
    """`os` for the files that are replaced whole, with moments around the renaming."""

    def __init__(self, killer, system):
        self._killer, self._system = killer, system

    def __getattr__(self, name):
        return getattr(self._system, name)

    def replace(self, source, target):
        self._killer.moment()
        self._system.replace(source, target)
        self._killer.moment()


class Laboratory:
    """One method on one stream, to be run many times."""

    def __init__(self, experiment, stream, every=7):
        self.experiment, self.stream, self.every = experiment, stream, every
        self.trainer = build_trainer(experiment, stream)
        method, model = self.trainer.method, self.trainer.model
        lasting = [*self.trainer.variables, *method.state_variables(), *model.state_variables()]
        lasting += [*method.source.all_variables(), *(model.embedding.variables if model.embedding else ())]
        self._lasting = [(variable, np.array(variable.numpy())) for variable in lasting]
        self._passing = [*self.trainer.optimizer.state_variables(), *method.task_variables()]
        self.killer = Killer()
        self.most_moments = 0

    def as_in_a_fresh_process(self):
        """Set all variables back."""
        for variable, value in self._lasting:
            variable.assign(value)
        for variable in self._passing:
            variable.assign(tf.fill(variable.shape, tf.cast(_NEVER_READ, variable.dtype)))

    def run(self, path, kill_at=None, last=True):
        """Begin a run at `path`, or continue the one that is there; whether it ended.

        Args:
          path: The run directory.
          kill_at: Number of the moment at which the run is killed.
          last: Whether files are written before or after each moment.
        """
        self.as_in_a_fresh_process()
        provenance = {"data_source": self.stream.data_source}
        if path.exists():
            run = RunDirectory.open(path, self.experiment)
        else:
            run = RunDirectory.create(path, self.experiment, provenance)
        matrix = run.load()
        facts = self.trainer.method.facts()
        recorders = [FileRecorder(run, self.experiment, facts), TensorBoardRecorder(run.tensorboard, self.experiment)]
        self.killer.moments, self.killer.kill_at = 0, kill_at
        self.trainer.observers[:] = [*recorders, self.killer] if last else [self.killer, *recorders]
        checkpoints = Checkpoints(run.checkpoints, self.trainer, self.every)
        system, durable_files.os = durable_files.os, _System(self.killer, durable_files.os)
        try:
            start = checkpoints.latest(0 if matrix is None else len(matrix.rows))
            learn(self.stream, self.trainer, matrix=matrix, checkpoints=checkpoints, start=start)
            self.most_moments = max(self.most_moments, self.killer.moments)
            return True
        except Killed:
            return False
        finally:
            durable_files.os = system

    def left(self, path):
        """What the finished run at `path` has left."""
        variables = [*self.trainer.variables, *self.trainer.method.state_variables()]
        return left_at(path, [np.array(variable.numpy()) for variable in variables])


def left_at(path, values=()):
    """What the finished run at `path` has left, with values of its variables."""
    results = json.loads((path / "results.json").read_text())
    results.pop("timing")
    log = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for entry in log:
        entry.pop("seconds_per_step", None)
    return Left(results, (path / "results.csv").read_text(), log, curves_at(path / "tensorboard"), list(values))


def curves_at(directory):
    """Steps and values of all series in TensorBoard's files, by name.

    Files are read one by one in the order in which they were made. Their names order them by the second, and within one
    by a counter of the process, which TensorBoard compares as text ("10" before "9").
    """
    sizes = {"tensors": 0, "scalars": 0, "images": 0}
    curves = {}
    for path in sorted(directory.iterdir(), key=lambda path: [part.rjust(20) for part in path.name.split(".")]):
        events = EventAccumulator(str(path), size_guidance=sizes, purge_orphaned_data=False)
        events.Reload()
        for tag in events.Tags()["tensors"]:
            if not tag.endswith("milliseconds_per_step") and not tag.startswith("_hparams_"):
                values = [(event.step, tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
                curves.setdefault(tag, []).extend((step, value.tolist()) for step, value in values)
    return curves


def assert_left_alike(one, other):
    """Require that two runs have left the same, bit for bit."""
    for name in ("results", "table", "log", "curves"):
        assert getattr(one, name) == getattr(other, name), name
    for value, other_value in zip(one.values, other.values, strict=True):
        np.testing.assert_array_equal(value, other_value)


def kill_and_continue(laboratory, path, generator, kills):
    """Kill runs `kills` times at random moments and continue them; a generator that stops where a run has ended."""
    done = 0
    while done < kills:
        shutil.rmtree(path, ignore_errors=True)
        ended = False
        while not ended:
            moment = int(generator.integers(1, laboratory.most_moments + 1)) if done < kills else None
            ended = laboratory.run(path, kill_at=moment, last=bool(generator.integers(2)))
            done += not ended
        yield
