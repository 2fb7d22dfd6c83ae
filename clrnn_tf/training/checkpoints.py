"""Checkpoints of a run, from which it goes on at the step at which they were written."""

from __future__ import annotations

import contextlib
import math
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.training.checkpoint_files import Arrays, Checkpoint, Position, read, write
from clrnn_tf.training.stopping import StopRequest
from clrnn_tf.training.task_progress import TaskProgress
from clrnn_tf.training.trainer import Trainer

_SECONDS_BETWEEN = 60.0
_NAME = re.compile(r"learned(\d+)(?:-step(\d+))?\.npz")
_EARLIER = "task*.index"  # TensorFlow checkpoints, which were written after each task until version 0.1.0


class Checkpoints:
    """Writes checkpoints while `learn` trains, after each task and within tasks, and reads them.

    A checkpoint holds all that cannot be computed again: variables, the state of the optimizer and of the method, what
    the method has set before the task (teachers, targets), the best validation so far, and sums of the training log.
    Batches and random draws are functions of (seed, task, step). So a run that goes on from a checkpoint gives the
    numbers of one that was never stopped.

    Several workers must pause together, so theirs are written between two log entries only. Values are copied, and a
    thread writes them; at most one file is being written. It is written beside and then renamed. Of the files, those
    are kept that a damaged newest one would need: the last two within a task and the last one after a task, or the last
    two after tasks.

    Args:
      directory: Where they are written; its parent must exist.
      trainer: What is saved and restored.
      every: Steps between checkpoints within a task; None writes one a minute, between two log entries.
      identity: Facts that say which run it is, as JSON; stored in each checkpoint.
      stop: Requests to stop.
      clock: Seconds since any fixed moment.

    Example: two tasks, the second of which is begun again in its second half.
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=4, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> import tempfile
      >>> from pathlib import Path
      >>> from clrnn_tf import Checkpoints, learn
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     trainer = build_trainer(experiment, stream)
      ...     matrix = learn(stream, trainer, checkpoints=Checkpoints(Path(folder), trainer, every=2))
      ...     (Path(folder) / "learned2.npz").unlink()
      ...     again = build_trainer(experiment, stream)
      ...     checkpoints = Checkpoints(Path(folder), again)
      ...     start = checkpoints.latest(num_rows=2)
      ...     print(start.position)
      ...     resumed = learn(stream, again, matrix=matrix, checkpoints=checkpoints, start=start)
      after 1 task
    """

    def __init__(
        self,
        directory: Path,
        trainer: Trainer,
        every: int | None = None,
        *,
        identity: Mapping[str, object] | None = None,
        stop: StopRequest | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require(every is None or every > 0, f"every must be above 0, or None. Received: {every}.")
        self.stop = stop or StopRequest()
        self.learned = 0
        """Tasks that are learned so far."""
        self.directory, self._trainer, self._every = directory, trainer, every
        self._identity = dict(identity or {})
        self._clock, self._last_time, self._last_step = clock, clock(), 0
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None

    def steps_to_next(self, step: int) -> float:
        """Steps after which one is due, counted from `step`; infinite where the next log entry is early enough."""
        return math.inf if self._every is None else self._every - step % self._every

    def steps_done(self, progress: TaskProgress) -> None:
        """Write a checkpoint if one is due or somebody has asked to stop.

        Raises:
          KeyboardInterrupt: Somebody has asked to stop; the checkpoint is on the disk.
          OSError: It cannot be written, or the one before it could not.
        """
        stop = self.stop.requested
        if self._is_due(progress.step) or stop:
            self._begin(Position(self.learned, progress.step), progress)
        if stop:
            self.wait()
            raise KeyboardInterrupt

    def task_learned(self) -> None:
        """Write a checkpoint after one more task is learned, tested and recorded.

        Raises:
          OSError: It cannot be written, or the one before it could not.
        """
        self.learned += 1
        self._begin(Position(self.learned, 0), None)
        self.wait()

    def wait(self) -> None:
        """Wait until what was begun is on the disk.

        Raises:
          OSError: It cannot be written.
        """
        if self._written is not None:
            written, self._written = self._written, None
            written.result()

    def close(self) -> None:
        """Let the thread end, whatever becomes of what it writes."""
        self._writer.shutdown(wait=True)

    def latest(self, num_rows: int) -> Checkpoint | None:
        """The newest checkpoint that can be read, with a warning where a newer one is damaged.

        Args:
          num_rows: Tasks whose results are there.

        Returns:
          It, or None where the run must begin anew: nothing is learned yet. The same, with a warning, where the first
          task was recorded and no checkpoint was ever written: the run ended in between.

        Raises:
          ConfigurationError: There are results, but no checkpoint that can be read and has no more tasks than these.
        """
        damaged: list[str] = []
        for position in reversed(self._positions()):
            if position.learned > num_rows:
                continue
            try:
                found = read(self._path(position))
            except ConfigurationError as error:
                if not error.args[0].startswith(f"{self._path(position)} is damaged"):
                    raise
                damaged.append(str(error))
                continue
            if damaged:
                warnings.warn(f"{damaged[0]} Going on {position} instead.", stacklevel=2)
            return found
        self._require_nothing_learned(num_rows, damaged)
        if damaged or num_rows:
            reason = damaged[0] if damaged else f"{self.directory} has no checkpoint of the first task."
            warnings.warn(f"{reason} Beginning anew.", stacklevel=2)
        return None

    def latest_learned(self, num_rows: int) -> Checkpoint:
        """The newest checkpoint after a task, of those that `latest` may return.

        Raises:
          ConfigurationError: There is none that can be read.
        """
        self._refuse_earlier()
        for learned in range(num_rows, 0, -1):
            if self._path(Position(learned, 0)).exists():
                return read(self._path(Position(learned, 0)))
        raise ConfigurationError(f"no checkpoint of a learned task in {self.directory}.")

    def _require_nothing_learned(self, num_rows: int, damaged: Sequence[str]) -> None:
        anew = "or start the run anew with --overwrite."
        require(not (num_rows and damaged), f"{' '.join(damaged[:1])} Restore it from a copy, {anew}")
        self._refuse_earlier()
        positions = self._positions()
        require(
            not positions or bool(damaged),
            f"the results of {positions[0].learned if positions else 0} tasks are missing, which "
            f"{self.directory} has learned. Restore results.json from a copy, {anew}",
        )
        # After the second task, there has been one. After the first, the run may have ended before it was written.
        require(
            num_rows <= 1, f"no checkpoint of the {num_rows} tasks learned in {self.directory}. Restore one, {anew}"
        )

    def _refuse_earlier(self) -> None:
        require(
            bool(self._positions()) or not any(self.directory.glob(_EARLIER)),
            f"the checkpoints in {self.directory} are of an earlier version. Use that version of clrnn_tf, or start "
            "the run anew with --overwrite.",
        )

    def _is_due(self, step: int) -> bool:
        if self._every is None:
            return self._clock() - self._last_time >= _SECONDS_BETWEEN
        if step < self._last_step:  # of the task before
            self._last_step = 0
        return step - self._last_step >= self._every or step % self._every == 0

    def _begin(self, position: Position, progress: TaskProgress | None) -> None:
        """Copy what is to be saved, and let the thread write it."""
        self.wait()
        recorded: dict[str, int] = {}
        for observer in self._trainer.observers:
            recorded.update(observer.recorded())
        arrays: Arrays = {
            name: _copies(variables) for name, variables in variables_of(self._trainer, progress is not None)
        }
        facts: dict[str, object] = {"recorded": recorded, "identity": self._identity}
        if progress is not None:
            arrays, facts = {**arrays, **progress.arrays()}, {**facts, **progress.facts()}
        self._written = self._writer.submit(self._write, position, arrays, facts)
        self._last_time, self._last_step = self._clock(), position.step

    def _write(self, position: Position, arrays: Arrays, facts: Mapping[str, object]) -> None:
        self.directory.mkdir(exist_ok=True)  # not its parents: a run that was deleted meanwhile stays deleted
        write(self._path(position), position, arrays, facts)
        positions = self._positions()
        for unneeded in set(positions) - needed(positions, position):
            self._path(unneeded).unlink(missing_ok=True)
        for half in self.directory.glob("learned*.npz.new"):  # of a process that was killed
            half.unlink(missing_ok=True)

    def _positions(self) -> list[Position]:
        """Those of the files, in order of time."""
        with contextlib.suppress(FileNotFoundError):
            found = [_NAME.fullmatch(path.name) for path in self.directory.iterdir()]
            return sorted(Position(int(match[1]), int(match[2] or 0)) for match in found if match)
        return []

    def _path(self, position: Position) -> Path:
        step = f"-step{position.step}" if position.step else ""
        return self.directory / f"learned{position.learned}{step}.npz"


def needed(positions: Sequence[Position], newest: Position) -> set[Position]:
    """Which checkpoints to keep when `newest` has been written; later ones are of a damaged past."""
    earlier = [position for position in positions if position <= newest]
    after_tasks = [position for position in earlier if not position.step]
    within = [position for position in earlier if position > max(after_tasks, default=Position(0, 0))][-2:]
    kept = [*after_tasks[-1 if within else -2 :], *within]
    return set(kept if len(kept) > 1 else earlier[-2:])


def variables_of(trainer: Trainer, within_task: bool) -> list[tuple[str, Sequence[tf.Variable]]]:
    """What a checkpoint holds, by group; `within_task` adds what only the task in training needs."""
    model, method = trainer.model, trainer.method
    groups: list[tuple[str, Sequence[tf.Variable]]] = [
        ("trained", trainer.variables),
        ("method", method.state_variables()),
        ("model", model.state_variables()),
    ]
    if within_task:
        groups += [("optimizer", trainer.optimizer.state_variables()), ("task", method.task_variables())]
    return groups


def restore(checkpoint: Checkpoint, trainer: Trainer) -> None:
    """Give the variables of a trainer the values of a checkpoint.

    Raises:
      ConfigurationError: They have other shapes; nothing is changed then.
    """
    pairs: list[tuple[tf.Variable, np.ndarray]] = []
    for group, variables in variables_of(trainer, checkpoint.position.step > 0):
        values = checkpoint.arrays.get(group, [])
        fits = len(values) == len(variables) and all(
            value.shape == variable.shape and value.dtype == variable.dtype.as_numpy_dtype
            for value, variable in zip(values, variables, strict=True)
        )
        require(fits, f"{checkpoint.path} holds another model than these settings make. Start anew with --overwrite.")
        pairs += zip(variables, values, strict=True)
    for variable, value in pairs:
        variable.assign(value)


def _copies(variables: Sequence[tf.Variable]) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in variables]
