"""What an extended run begins with: the grown checkpoint, and the results so far with a column for the new task."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clrnn_tf.durable_files import write_bytes, write_text
from clrnn_tf.errors import require
from clrnn_tf.extension.growth import grown, held_of
from clrnn_tf.extension.settings import Extension
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.results import confusions_of, scores_of
from clrnn_tf.recording.run_directory import RunDirectory, as_json
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.training.checkpoint_files import Checkpoint, read, write
from clrnn_tf.training.checkpoints import Checkpoints, restore
from clrnn_tf.training.trainer import Trainer

_OF_OLD_TASKS_ALONE = ("task_inference",)  # entries of the results that are not continued


class Trained(NamedTuple):
    """A finished run."""

    run: RunDirectory
    stream: TaskStream
    """Its tasks."""
    matrix: ResultMatrix
    """Its results."""


class Beginning(NamedTuple):
    """What an extended run begins with."""

    checkpoint: Checkpoint
    """Of the old tasks, as the larger trainer restores it."""
    matrix: ResultMatrix
    """Results so far, with a column for the new task."""
    log: bytes
    """`metrics.jsonl` of the finished run."""
    results: Mapping[str, Any]
    """Its `results.json`."""

    def write(self, run: RunDirectory, identity: Mapping[str, object]) -> None:
        """Write it: the run in the directory is one then that has learned the old tasks.

        Args:
          run: The extended run.
          identity: See `Checkpoints`.
        """
        write_bytes(run.metrics, self.log)
        path = first_checkpoint(run, self.checkpoint.position.learned)
        path.parent.mkdir(exist_ok=True)
        recorded = {run.metrics.name: len(self.log)} if self.log else {}
        facts = {**self.checkpoint.facts, "recorded": recorded, "identity": dict(identity)}
        write(path, self.checkpoint.position, self.checkpoint.arrays, facts)
        _write_results(run, self.matrix, self.results)


def beginning_of(trained: Trained, stream: TaskStream, trainer: Trainer) -> Beginning:
    """What a run begins with that goes on from a finished one. Nothing is written.

    Args:
      trained: The finished run.
      stream: Its tasks and one more.
      trainer: Of these tasks. It has learned nothing, and has the values of the old tasks afterwards.

    Raises:
      ConfigurationError: The run is not finished, or the tasks are not its tasks and one more.
    """
    require_one_more(trained, stream)
    number = len(trained.stream)
    checkpoint = Checkpoints(trained.run.checkpoints, trainer).latest_learned(number)
    require(checkpoint.position.learned == number, f"no checkpoint of all {number} tasks in {trained.run.checkpoints}.")
    new = stream[number]
    made = grown(checkpoint, trainer)
    untrained = trainer.evaluate(new, new.test)
    start = Checkpoint(checkpoint.path, checkpoint.position, made.arrays, made.facts)
    restore(start, trainer)
    matrix = _enlarged(trained.matrix, new.name, untrained, trainer.evaluate(new, new.test))
    return Beginning(start, matrix, _log(checkpoint, trained.run), trained.run.read_results())


def first_checkpoint(run: RunDirectory, number: int) -> Path:
    """Where an extended run has what it began with: the model of the old tasks, which are so many."""
    return run.checkpoints / f"learned{number}.npz"


def read_first(run: RunDirectory, number: int) -> Checkpoint:
    """What an extended run began with.

    Raises:
      ConfigurationError: It is not there, or damaged.
    """
    path = first_checkpoint(run, number)
    require(path.is_file(), f"{path} is missing, with which the run began. Restore it from a copy.")
    return read(path)


def hold_old_tasks(trainer: Trainer, first: Checkpoint, extension: Extension) -> None:
    """Train only what the new task has of its own, where the extension says so.

    Raises:
      ConfigurationError: It has nothing of its own.
    """
    if extension.keep_exact:
        trainer.step.held = held_of(first, trainer)


def require_one_more(trained: Trained, stream: TaskStream) -> None:
    """Require that a stream has the tasks of a finished run, and one more.

    Raises:
      ConfigurationError: It has others.
    """
    run, names = trained.run, [task.name for task in trained.stream]
    require(
        trained.matrix.finished,
        f"the run in {run.path} has learned {trained.matrix.num_learned} of {len(names)} tasks. Continue it with "
        "--resume first.",
    )
    present = [task.name for task in stream]
    require(
        present[:-1] == names,
        f"--extend needs the {len(names)} tasks of {run.path} and one more, the last one. Received: "
        f"{', '.join(present)}. Name it as in --data.languages +sv, --data.tasks +NAME or --data.num-tasks "
        f"{len(names) + 1}.",
    )
    for old, new in ((getattr(trained.stream, name), getattr(stream, name)) for name in ("class_names", "outputs")):
        require(old == new, f"the new task must have the classes of the old ones: {old}. Received: {new}.")
    same = trained.stream.num_features == stream.num_features and trained.stream.ngrams == stream.ngrams
    require(
        same and trained.stream.num_outputs == stream.num_outputs,
        f"the new task must have the inputs and outputs of the old ones: {trained.stream.num_features} and "
        f"{trained.stream.num_outputs}. Received: {stream.num_features} and {stream.num_outputs}.",
    )
    for old, new in zip(trained.stream, stream, strict=False):
        require(
            _first_batch(old) == _first_batch(new),
            f"task '{old.name}' has other test data beside the new task than in {run.path}. Leave the settings of the "
            "data as they were.",
        )


def _first_batch(task: Any) -> tuple[bytes, ...]:
    """Inputs, targets and lengths of the first test sequences."""
    batch = next(iter(task.test.in_order(8, task.task_id)))
    longest = int(np.max(batch.lengths))
    cut = (np.asarray(batch.inputs)[:, :longest], np.asarray(batch.targets)[:, :longest], np.asarray(batch.lengths))
    return tuple(array.tobytes() for array in cut)


def _enlarged(matrix: ResultMatrix, name: str, untrained: Evaluation, last: Evaluation) -> ResultMatrix:
    """The matrix with a column for the new task, which is known before training and after the last task."""
    unknown = Evaluation(
        math.nan,
        math.nan,
        None if last.confusion is None else np.zeros_like(last.confusion),
        dict.fromkeys(last.further, math.nan),
    )
    rows = [[*row, unknown] for row in matrix.rows[:-1]]
    return ResultMatrix(
        (*matrix.task_names, name),
        [*matrix.initial, untrained],
        [*rows, [*matrix.rows[-1], last]],
        matrix.joint,
        matrix.loss_unit,
    )


def _log(checkpoint: Checkpoint, old: RunDirectory) -> bytes:
    """The log of the finished run, up to the checkpoint; empty where it is missing or was cut."""
    size = checkpoint.recorded.get(old.metrics.name, 0)
    log = old.metrics.read_bytes()[:size] if old.metrics.is_file() else b""
    return log if len(log) == size else b""


def _write_results(run: RunDirectory, matrix: ResultMatrix, before: Mapping[str, Any]) -> None:
    """Write the results so far; `results.json` comes last, as it says that all is there."""
    confusions: dict[str, Any] = confusions_of(matrix)
    if confusions:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **confusions)
        write_bytes(run.confusion, buffer.getvalue())
    kept = {name: value for name, value in before.items() if name not in _OF_OLD_TASKS_ALONE}
    write_text(run.results, as_json({**kept, **scores_of(matrix)}, indent=2))
