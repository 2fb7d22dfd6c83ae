"""One trial: its runs, one for each seed, and what came of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.methods import load
from clrnn_tf.recording.run_directory import RunDirectory, as_json
from clrnn_tf.recording.run_lock import LockedError, RunLock
from trainers.searching.plans import Plan
from trainers.searching.processes import Ended, run_process
from trainers.searching.spaces import applied
from trainers.searching.trial_run import HOPELESS, Wanted, command_of

OUTCOME = "outcome.json"
SETTINGS = "settings.yaml"
_INTERRUPTED = 130


class TrialFailedError(Exception):
    """A trial whose run diverged, or whose settings cannot work together; the message says why."""


class RunProcess(Protocol):
    """Runs a command; see `run_process`."""

    def __call__(self, command: list[str], log: Path, look: Callable[[], None], /) -> Ended:
        """Run it until it ends."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    score: float | None
    """The mean over the seeds; None of a trial that failed."""
    scores: tuple[float, ...]
    """Of each seed."""
    ended_early: bool
    """Whether a run could no longer reach what was wanted; its score is that of its last test."""
    seconds: float
    """Of all runs, in this process."""
    error: str = ""
    """Why it failed."""


class TrialRunner:
    """Runs the trials of a search.

    Args:
      plan: The search.
      look: Called with the name of the trial while it goes on; when it raises, its run writes a checkpoint and ends.
      run: Runs a command.
    """

    def __init__(self, plan: Plan, look: Callable[[str], None], run: RunProcess = run_process) -> None:
        self._plan, self._look, self._run = plan, look, run

    def __call__(self, trial_id: str, settings: Mapping[str, object], wanted: float | None) -> Outcome:
        """Run a trial, or go on with it where its last checkpoint is.

        Args:
          trial_id: Its name.
          settings: Values by dotted name.
          wanted: The score below which it is of no use; None lets it go to its end.

        Raises:
          TrialFailedError: It failed.
          ConfigurationError: So would all others: the data are not as they must be.
        """
        directory, began = self._plan.trials / trial_id, time.monotonic()
        directory.mkdir(parents=True, exist_ok=True)
        outcome = stored_outcome(directory)
        if outcome is None:
            try:
                scores, ended_early = self._run_seeds(directory, settings, wanted)
                mean = sum(scores) / len(scores)
                outcome = Outcome(mean, tuple(scores), ended_early, round(time.monotonic() - began, 1))
            except TrialFailedError as error:
                outcome = Outcome(None, (), False, round(time.monotonic() - began, 1), str(error))
            write_text(directory / OUTCOME, as_json(asdict(outcome), indent=1))
        if outcome.score is None:
            raise TrialFailedError(outcome.error)
        return outcome

    def _run_seeds(
        self, directory: Path, settings: Mapping[str, object], wanted: float | None
    ) -> tuple[list[float], bool]:
        """The scores of the seeds, and whether the last of them has ended early."""
        self._write_settings(directory, settings)
        scores: list[float] = []
        for seed in self._plan.seeds:
            ended = self._run_seed(directory, seed, self._wanted_of(wanted, scores), tuple(settings))
            scores.append(self._score(directory / _name(seed)))
            if ended.code == HOPELESS:
                return scores, True
        return scores, False

    def _write_settings(self, directory: Path, settings: Mapping[str, object]) -> None:
        try:
            experiment = applied(self._plan.experiment, settings)
            load(experiment.method).METHOD.check(experiment)
        except ConfigurationError as error:
            raise TrialFailedError(str(error)) from None
        stored = {**experiment.to_dict(), "provenance": {"preset": self._plan.command.preset}}
        write_text(directory / SETTINGS, yaml.safe_dump(stored, sort_keys=False, allow_unicode=True))

    def _wanted_of(self, wanted: float | None, scores: list[float]) -> float | None:
        """What the next seed must reach, were the seeds after it perfect."""
        if wanted is None:
            return None
        count, perfect = len(self._plan.seeds), self._plan.objective.perfect
        return count * wanted - sum(scores) - (count - len(scores) - 1) * perfect

    def _run_seed(self, directory: Path, seed: int, wanted: float | None, varied: tuple[str, ...]) -> Ended:
        plan, out = self._plan, directory / _name(seed)
        objective = plan.objective
        of_run = Wanted(plan.first_tasks, objective.metric, objective.when == "during", wanted, varied)
        flags: list[str | Path] = ["--out", out]
        self._wait_for(out)
        if (out / "config.yaml").is_file():
            flags.append("--resume")
        else:
            flags += ["--config", directory / SETTINGS, "--seed", str(seed)]
        if plan.command.data_dir is not None:
            flags += ["--data-dir", plan.command.data_dir]
        if plan.options.checkpoint_every is not None:
            flags += ["--checkpoint-every", str(plan.options.checkpoint_every)]
        command = command_of(plan.command.benchmark.name, of_run, flags)
        ended = self._run(command, directory / f"{out.name}.log", lambda: self._look(directory.name))
        if ended.code == _INTERRUPTED:
            raise KeyboardInterrupt
        if ended.code not in (0, HOPELESS):
            is_error = ended.line.startswith("error: ")
            line = ended.line.removeprefix("error: ") if is_error else f"exit code {ended.code}."
            require(ended.code != 2, f"trial {directory.name} cannot run: {line}")
            raise TrialFailedError(line)
        return ended

    def _wait_for(self, out: Path) -> None:
        """Wait until nobody writes to a run any more: its worker may have been lost, and the run be about to end."""
        while out.is_dir():
            try:
                with RunLock(out):
                    return
            except LockedError:
                self._look(out.parent.name)
                time.sleep(1.0)

    def _score(self, out: Path) -> float:
        matrix = RunDirectory(out).load()
        if matrix is None:
            raise TrialFailedError(f"{out} has no results.")
        return self._plan.objective.score(matrix)


def stored_outcome(directory: Path) -> Outcome | None:
    """What came of a trial that has ended; None before."""
    path = directory / OUTCOME
    if not path.is_file():
        return None
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Outcome(**{**stored, "scores": tuple(stored["scores"])})


def _name(seed: int) -> str:
    return f"seed{seed}"
