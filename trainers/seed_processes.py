"""Runs the processes of several seeds, some at once, and says how far they are."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import trainers
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.training.stopping import StopRequest
from trainers.seeds import SeedPlan, SeedRun
from trainers.signals import stopped_by_signals

BAD_INPUT = 2
"""The exit code of a run whose settings or data are wrong; those of other seeds would be, too."""
_SECONDS_BETWEEN_LOOKS = 1.0


class Process(Protocol):
    """What is asked of a process that runs."""

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""


Start = Callable[[SeedPlan, SeedRun], Process]


def start_process(plan: SeedPlan, run: SeedRun) -> Process:
    """Start the command of one seed; what it prints is its log, and of a run that is continued the end of its log.

    It is in a session of its own: the Ctrl-C of a terminal would reach it beside the signal that it gets from here.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    root = str(Path(trainers.__file__).parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    with run.log.open("ab" if "--resume" in run.arguments else "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"trainers.{plan.benchmark.name}", *run.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )


def run_all(
    plan: SeedPlan,
    runs: Sequence[SeedRun],
    start: Start = start_process,
    pause: Callable[[float], None] = time.sleep,
) -> dict[int, int]:
    """Run seeds, `plan.processes` at once, until all have ended.

    A run that fails does not stop the others. After bad input (exit code 2) no further run is begun.

    Args:
      plan: The command.
      runs: The runs that are left to do.
      start: Starts the process of a run.
      pause: Waits some seconds.

    Returns:
      Exit codes of the runs that were begun, by seed.

    Raises:
      KeyboardInterrupt: This process was asked to stop. Its runs were, too, and have ended.
    """
    stop, processes = StopRequest(), _Processes(plan, runs, start)
    with stopped_by_signals(stop), stop.between_steps(), processes:
        while processes.are_left() and not stop.requested:
            if not processes.begin_and_collect():
                pause(_SECONDS_BETWEEN_LOOKS)
    return processes.codes


class _Processes:
    """The processes of a plan; leaving the block stops those that run."""

    def __init__(self, plan: SeedPlan, runs: Sequence[SeedRun], start: Start) -> None:
        self.codes: dict[int, int] = {}
        self._plan, self._waiting, self._start = plan, list(runs), start
        self._running: dict[int, Process] = {}
        self._watched = {run.seed: Watch(run) for run in runs}

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ask those that run to stop, and wait: they write a checkpoint first."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            process.wait()

    def are_left(self) -> bool:
        """Whether any run, or are still to be begun."""
        return bool(self._running or (self._waiting and self._may_begin()))

    def begin_and_collect(self) -> bool:
        """Begin runs where there is room, say what is new, and return whether a run has ended."""
        while self._waiting and len(self._running) < self._plan.processes and self._may_begin():
            run = self._waiting.pop(0)
            print(f"seed {run.seed}: started; what it prints is in {run.log}", flush=True)
            self._running[run.seed] = self._start(self._plan, run)
        ended = [seed for seed, process in self._running.items() if process.poll() is not None]
        for seed in ended:
            self.codes[seed] = self._running.pop(seed).wait()
            print(self._watched[seed].ended(self.codes[seed]), flush=True)
        for seed in self._running:
            self._watched[seed].look()
        return bool(ended)

    def _may_begin(self) -> bool:
        return BAD_INPUT not in self.codes.values()


class Watch:
    """Says how far a run is, from the files that it writes."""

    def __init__(self, run: SeedRun) -> None:
        self._run, self._directory = run, RunDirectory(run.path)
        matrix = self._matrix()
        self._learned, self._changed = len(matrix.rows) if matrix else 0, self._last_change()

    def look(self) -> None:
        """Print a line where a task has been learned since the last look, but for the last task."""
        if (changed := self._last_change()) == self._changed:
            return
        self._changed, matrix = changed, self._matrix()
        if matrix is not None and len(matrix.rows) > self._learned and not matrix.finished:
            self._learned = len(matrix.rows)
            learned = f"{self._learned} of {len(matrix.row_names)} tasks learned"
            print(f"seed {self._run.seed}: {learned}, mean of tasks so far {_mean_final(matrix):.2f}", flush=True)

    def ended(self, code: int) -> str:
        """A line about a run that has ended."""
        if code:
            how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
            return f"seed {self._run.seed}: failed ({how}). {self._last_line()} See {self._run.log}."
        matrix = self._matrix()
        return f"seed {self._run.seed}: done" + (f", mean final {_mean_final(matrix):.2f}" if matrix else "")

    def _last_change(self) -> int:
        with contextlib.suppress(OSError):
            return self._directory.results.stat().st_mtime_ns
        return 0

    def _matrix(self) -> ResultMatrix | None:
        with contextlib.suppress(ConfigurationError, OSError):
            return self._directory.load()
        return None

    def _last_line(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._run.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return lines[-1].removeprefix("error: ") if lines else "It printed nothing."
        return "Its log cannot be read."


def _mean_final(matrix: ResultMatrix) -> float:
    return float(matrix.final(matrix.headline).mean())
