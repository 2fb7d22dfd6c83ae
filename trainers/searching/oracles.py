"""The oracles of Keras Tuner, with a journal, the preset as the first trial, and trials of lost workers given away."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus

from clrnn_tf.errors import ConfigurationError, require
from trainers.searching.journal import Journal
from trainers.searching.phases import PlasticityThenStability
from trainers.searching.plans import PLASTICITY, Plan
from trainers.searching.values import ALL, hyperparameters_of

MOST_FAILURES = 10
"""Trials that fail one after another before a search ends."""
_FACTOR = 3
_IS_RUNNING = TrialStatus.RUNNING


@dataclass
class Supervision:
    """What an oracle knows besides its values.

    An oracle with a `timeout` takes a trial from a worker that has been silent for so many seconds.
    """

    journal: Journal
    preset_first: bool
    """Whether the first trial is the preset."""
    timeout: float | None = None
    clock: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = lambda line: None
    ended: Callable[[], None] = lambda: None
    """Called when a trial has ended."""
    heard: dict[str, float] = field(default_factory=dict)
    """When something was last heard of a running trial."""


class _Supervised:
    """What is added to each oracle of Keras Tuner; it comes before one of them in the bases of a class.

    Trials are not stored in files of Keras Tuner: the journal has them.
    """

    supervision: Supervision
    objective: Any
    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    tuner_ids: set[str]
    _replaying = False

    def save(self) -> None:
        """The journal has the state."""

    def _save_trial(self, trial: Trial) -> None:
        """The journal has the trial."""

    def _random_values(self) -> dict[str, object] | None:
        if self.supervision.preset_first and not self.trials:
            return {parameter.name: parameter.default for parameter in self.hyperparameters.space}  # type: ignore[attr-defined]
        return super()._random_values()  # type: ignore[misc]

    @kt.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial for a worker: the one that it has, one that was taken from a lost one, or a new one."""
        if not self._replaying:
            self._take_from_lost()
        if self.keeps_failing:
            self.max_trials = len(self.trials)
        trial = super().create_trial(tuner_id)  # type: ignore[misc]
        if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
            trial.status = TrialStatus.IDLE  # until they have ended: their workers may be lost
            self.tuner_ids.add(tuner_id)
        self.supervision.heard[trial.trial_id] = self.supervision.clock()
        values = dict(trial.hyperparameters.values) if trial.status == _IS_RUNNING else None
        self._note(event="create", worker=tuner_id, trial=trial.trial_id, status=trial.status, values=values)
        return trial

    @property
    def keeps_failing(self) -> bool:
        """Whether the last `MOST_FAILURES` trials have failed."""
        last = [self.trials[trial].status for trial in self.end_order[-MOST_FAILURES:]]  # type: ignore[attr-defined]
        return len(last) == MOST_FAILURES and set(last) == {TrialStatus.FAILED}

    @kt.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Take a result; that of a trial that has ended before is dropped."""
        if all(running.trial_id != trial.trial_id for running in self.ongoing_trials.values()):
            return
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters  # on their way, numbers are rounded
        metrics = self.trials[trial.trial_id].metrics
        known = metrics.exists(self.objective.name)
        value = metrics.get_best_value(self.objective.name) if known else None
        self._note(event="end", trial=trial.trial_id, status=trial.status, value=value)
        if self.supervision.timeout is not None and not self._replaying:
            self.supervision.say(f"trial {trial.trial_id}: {trial.status.lower()}, score {value}")
        super().end_trial(trial)  # type: ignore[misc]
        if not self._replaying:
            self.supervision.ended()

    @kt.synchronized
    def get_trial(self, trial_id: str) -> Trial:
        """A trial; workers ask for theirs from time to time, which shows that they are there."""
        self.supervision.heard[trial_id] = self.supervision.clock()
        return super().get_trial(trial_id)  # type: ignore[misc]

    @kt.synchronized
    def silent(self) -> list[str]:
        """Workers that have trials and have been silent for too long."""
        timeout = self.supervision.timeout
        if timeout is None:
            return []
        now, heard = self.supervision.clock(), self.supervision.heard
        return [
            worker
            for worker, trial in self.ongoing_trials.items()
            if now - heard.setdefault(trial.trial_id, now) > timeout
        ]

    @kt.synchronized
    def replay(self) -> None:
        """Make the calls of the journal.

        Raises:
          ConfigurationError: The oracle answers otherwise than it did.
        """
        self._replaying = True
        for event in self.supervision.journal.read():
            if event["event"] == "create":
                trial = self.create_trial(event["worker"])
                values = dict(trial.hyperparameters.values) if trial.status == _IS_RUNNING else None
                same = (trial.trial_id, trial.status, values) == (event["trial"], event["status"], event["values"])
                require(
                    same,
                    f"{self.supervision.journal.path} must hold what the tuner proposes. Received: another trial "
                    f"{event['trial']}. Use the version of keras-tuner that wrote it, or begin anew in another --out.",
                )
            elif event["event"] == "end":
                self._end_again(event)
            else:
                self._release(event["worker"])
        self._replaying = False

    def _end_again(self, event: Mapping[str, Any]) -> None:
        trial = self.trials[event["trial"]]
        if event["value"] is not None:
            self.update_trial(trial.trial_id, {self.objective.name: event["value"]})  # type: ignore[attr-defined]
        ended = Trial(trial.hyperparameters, trial.trial_id, event["status"])
        self.end_trial(ended)

    def _take_from_lost(self) -> None:
        for worker in self.silent():
            trial = self.ongoing_trials[worker].trial_id
            self.supervision.say(
                f"trial {trial} is free again: {worker} has been silent for {self.supervision.timeout:.0f} s."
            )
            self._note(event="lost", worker=worker)
            self._release(worker)

    def _release(self, worker: str) -> None:
        self._retry_queue.append(self.ongoing_trials.pop(worker).trial_id)  # type: ignore[attr-defined]
        self.tuner_ids.discard(worker)

    def _note(self, **event: object) -> None:
        if not self._replaying:
            self.supervision.journal.write(event)


class RandomOracle(_Supervised, kt.oracles.RandomSearchOracle):
    """Draws values at random."""


class BayesianOracle(_Supervised, kt.oracles.BayesianOptimizationOracle):
    """Fits a Gaussian process to the trials so far."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values of the next trial, without notices about the width of the kernel."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().populate_space(trial_id)


class GridOracle(_Supervised, kt.oracles.GridSearchOracle):
    """Tries all combinations."""


class HyperbandOracle(_Supervised, kt.oracles.HyperbandOracle):
    """Tries many settings on few steps, and the best of them on more."""


class PlasticityRandomOracle(PlasticityThenStability, RandomOracle):
    """Both phases, random values in the first."""


class PlasticityBayesianOracle(PlasticityThenStability, BayesianOracle):
    """Both phases, values of a Gaussian process in the first."""


class PlasticityGridOracle(PlasticityThenStability, GridOracle):
    """Both phases, all combinations in the first."""


_ORACLES = {
    "random": (RandomOracle, PlasticityRandomOracle),
    "bayesian": (BayesianOracle, PlasticityBayesianOracle),
    "grid": (GridOracle, PlasticityGridOracle),
    "hyperband": (HyperbandOracle, None),
}


def make_oracle(plan: Plan, supervision: Supervision | None) -> Any:
    """The oracle of a search, in the state in which its journal left it; without supervision, one for a worker.

    Raises:
      ConfigurationError: The journal is of another search, or a package is missing.
    """
    objective = plan.objective
    hyperparameters = hyperparameters_of(plan)
    options: dict[str, Any] = {
        "objective": kt.Objective("score", "min" if objective.minimized else "max"),
        "hyperparameters": hyperparameters,
        "seed": plan.options.search_seed + 1,  # 0 would be drawn by the clock
        "max_consecutive_failed_trials": plan.options.max_trials + 1,  # it would end the search with a traceback
    }
    if plan.options.tuner == "hyperband":
        options |= {"max_epochs": ALL, "factor": _FACTOR}
    else:
        options["max_trials"] = plan.options.max_trials
    kind = _ORACLES[plan.options.tuner][plan.options.protocol == PLASTICITY]
    try:
        oracle: Any = kind(**options)  # type: ignore[misc]
    except ImportError:
        raise ConfigurationError("--tuner bayesian needs scikit-learn: pip install 'clrnn_tf[search]'.") from None
    oracle.max_trials = plan.options.max_trials  # Hyperband takes none
    oracle.plan, oracle.verbose = plan, 0
    if supervision is not None:
        oracle.supervision = supervision
        oracle.replay()
    return oracle
