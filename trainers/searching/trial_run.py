"""One run of a search, in a process of its own: ``python -m trainers.searching.trial_run BENCHMARK ...``.

It is a run of the trainer with two differences: its tasks are tested on their validation data, so a search never sees
test data; and it writes neither models nor a report. It ends early when it can no longer reach what is wanted of it.
The process that has started it holds its standard input open; when that is closed, however that process has ended, the
run writes a checkpoint and ends.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from clrnn_tf.config import updated
from clrnn_tf.errors import require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult
from clrnn_tf.streams.tasks import TaskStream
from trainers.execute import execute
from trainers.failures import guarded
from trainers.flags import flags_of, read, words_of
from trainers.presets import Benchmark
from trainers.searching.scores import Objective
from trainers.settings import parse

HOPELESS = 3
"""Exit code of a run that has ended early."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a run; flags, beside those of the trainer."""

    first_tasks: int | None = None
    """Learn only the first tasks."""
    metric: str = "accuracy"
    """See `Objective`."""
    during: bool = False
    """Whether the metric of each task counts right after learning it, instead of after the last task."""
    at_least: float | None = None
    """End the run when it can no longer reach this (for the loss: go below it)."""
    varied: tuple[str, ...] = ()
    """Settings that the search varies, by dotted name: they have columns of their own in TensorBoard."""


class HopelessError(Exception):
    """A run that can no longer reach what is wanted."""


class Hopeless(Observer):
    """Ends a run after a task when even perfect scores of the tasks to come could not reach what is wanted.

    Args:
      objective: What is scored.
      at_least: The score that is wanted.
    """

    def __init__(self, objective: Objective, at_least: float) -> None:
        self._objective, self._at_least = objective, at_least

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Compare the bound with what is wanted.

        Raises:
          HopelessError: It is worse.
        """
        bound = self._objective.bound(matrix)
        if not matrix.finished and self._objective.is_better(self._at_least, bound):
            raise HopelessError(
                f"ended early after {result.task.name}: {self._objective.name} can reach "
                f"{bound:.2f}{self._objective.unit} at best. Wanted: {self._at_least:.2f}{self._objective.unit}."
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: that of a trainer, or `HOPELESS`."""
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def on_validation_data(stream: TaskStream, first_tasks: int | None = None) -> TaskStream:
    """A stream whose tasks are tested on their validation data.

    Args:
      stream: The tasks.
      first_tasks: How many are kept; None keeps all.

    Raises:
      ConfigurationError: A task has no validation data, or there are fewer tasks.
    """
    count = len(stream) if first_tasks is None else first_tasks
    require(1 <= count <= len(stream), f"the first tasks must be 1 to {len(stream)}. Received: {count}.")
    tasks = []
    for task in stream.tasks[:count]:
        if task.validation is None:
            require(
                False,
                f"task {task.name} has no validation data, and a search decides on these. Add some, or leave the "
                "task out.",
            )
        else:
            tasks.append(dataclasses.replace(task, test=task.validation))
    source = f"{stream.data_source}; scored on validation data"
    if count < len(stream):
        source += f"; the first {count} of {len(stream)} tasks"
    return dataclasses.replace(stream, tasks=tuple(tasks), data_source=source)


def scored_on_validation(benchmark: Benchmark, first_tasks: int | None) -> Benchmark:
    """The benchmark with `on_validation_data` applied to its streams."""
    original = benchmark.pipeline
    pipeline: Any = ModuleType(original.__name__, original.__doc__)
    vars(pipeline).update(vars(original))
    pipeline.make_stream = lambda config, data_dir: on_validation_data(
        original.make_stream(config, data_dir), first_tasks
    )
    return dataclasses.replace(benchmark, pipeline=pipeline)


def _run(arguments: list[str]) -> int:
    end_with_parent()
    name, *words = words_of(arguments)
    values, rest = read(words, flags_of(Wanted))
    wanted = updated(Wanted(), values)
    benchmark = importlib.import_module(f"trainers.{name.strip()}").BENCHMARK
    command = parse(scored_on_validation(benchmark, wanted.first_tasks), [word.removeprefix(" ") for word in rest])
    watchers: tuple[Observer, ...] = ()
    if wanted.at_least is not None:
        objective = Objective(wanted.metric, "during" if wanted.during else "final")
        watchers = (Hopeless(objective, wanted.at_least),)
    command = dataclasses.replace(command, watchers=watchers, exports=False, varied=wanted.varied)
    try:
        return execute(command)
    except HopelessError as error:
        print(error, flush=True)
        return HOPELESS


def end_with_parent(descriptor: int = 0) -> None:
    """Ask this process to stop, as Ctrl-C does, when its standard input is closed."""

    def wait() -> None:
        while os.read(descriptor, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def command_of(benchmark: str, wanted: Wanted, flags: Sequence[str | Path]) -> list[str]:
    """What starts such a process."""
    words = [sys.executable, "-m", "trainers.searching.trial_run", benchmark, "--metric", wanted.metric]
    if wanted.during:
        words.append("--during")
    if wanted.first_tasks is not None:
        words += ["--first-tasks", str(wanted.first_tasks)]
    if wanted.at_least is not None:
        words += ["--at-least", repr(wanted.at_least)]
    if wanted.varied:
        words += ["--varied", *wanted.varied]
    return [*words, *map(str, flags)]


if __name__ == "__main__":
    sys.exit(main())
