"""The oracles of Keras Tuner, with a journal, the preset as the first trial, and trials of lost workers given away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus

from clrnn_tf.errors import ConfigurationError, require
from trainers.searching.journal import Journal
from trainers.searching.plans import PLASTICITY, Plan
from trainers.searching.spaces import Range, choices_of, is_of, present, rounded

SHORTEST = 1 / 9
"""Share of the steps that Hyperband's first trials take; then come 1/3 and all."""
MOST_FAILURES = 10
"""Trials that fail one after another before a search ends."""
_FACTOR = 3
BUDGET, ALL, PHASE, STRENGTH, WANTED = "tuner/epochs", 9, "phase", "strength", "wanted"
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


class _PlasticityThenStability:
    """First finds how well a task can be learned, then how strongly old ones can be held in place meanwhile.

    Half of the trials vary all settings but the strength, which is 0. Then, with the best values, the strength is
    lowered from the highest to the lowest, until the score is as good as that of the first half but for a share `drop`.
    After De Lange et al., "A continual learning survey" (IEEE TPAMI 2021), who do so again at each task.
    """

    plan: Plan

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values of the next trial; see `kt.Oracle.populate_space`."""
        trials = [trial for trial in self.trials.values() if trial.hyperparameters.values[PHASE] == "plasticity"]  # type: ignore[attr-defined]
        if len(trials) < (self.max_trials + 1) // 2:  # type: ignore[attr-defined]
            answer = super().populate_space(trial_id)  # type: ignore[misc]
            if answer["status"] == _IS_RUNNING:
                answer["values"] |= {PHASE: "plasticity", STRENGTH: 0.0}
            if answer["status"] != TrialStatus.STOPPED:
                return answer
        if self.ongoing_trials:  # type: ignore[attr-defined]
            return {"status": TrialStatus.IDLE, "values": None}
        return self._lower(trials)

    def _lower(self, plasticity: list[Trial]) -> dict[str, Any]:
        scored = [trial for trial in plasticity if trial.score is not None]
        done = [trial for trial in self.trials.values() if trial.hyperparameters.values[PHASE] == "stability"]  # type: ignore[attr-defined]
        strengths = strengths_of(self.plan, self.max_trials - len(plasticity))  # type: ignore[attr-defined]
        if not scored or len(done) == len(strengths) or any(is_accepted(self.plan, trial) for trial in done):
            return {"status": TrialStatus.STOPPED, "values": None}
        best = scored[0]
        for trial in scored:
            best = trial if self.plan.objective.is_better(trial.score, best.score) else best
        share = 1 + self.plan.options.drop if self.plan.objective.minimized else 1 - self.plan.options.drop
        values = {**best.hyperparameters.values, PHASE: "stability", STRENGTH: strengths[len(done)]}
        return {"status": _IS_RUNNING, "values": {**values, WANTED: float(share * best.score)}}


class RandomOracle(_Supervised, kt.oracles.RandomSearchOracle):
    """Draws values at random."""


class BayesianOracle(_Supervised, kt.oracles.BayesianOptimizationOracle):
    """Fits a Gaussian process to the trials so far."""


class GridOracle(_Supervised, kt.oracles.GridSearchOracle):
    """Tries all combinations."""


class HyperbandOracle(_Supervised, kt.oracles.HyperbandOracle):
    """Tries many settings on few steps, and the best of them on more."""


class PlasticityRandomOracle(_PlasticityThenStability, RandomOracle):
    """Both phases, random values in the first."""


class PlasticityBayesianOracle(_PlasticityThenStability, BayesianOracle):
    """Both phases, values of a Gaussian process in the first."""


class PlasticityGridOracle(_PlasticityThenStability, GridOracle):
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


def hyperparameters_of(plan: Plan) -> kt.HyperParameters:
    """The spaces as Keras Tuner has them; defaults are the values of the preset where they are in the spaces."""
    parameters = kt.HyperParameters()
    for space in plan.spaces:
        if plan.options.protocol == PLASTICITY and space.name == plan.strength:
            continue
        own = present(plan.experiment, space.name)
        if isinstance(space, Range) and plan.options.tuner != "grid":
            default: Any = own if space.contains(own) else None
            sampling = "log" if space.logarithmic else "linear"
            if space.whole:
                parameters.Int(space.name, int(space.low), int(space.high), sampling=sampling, default=default)
            else:
                parameters.Float(space.name, space.low, space.high, sampling=sampling, default=default)
        else:
            choices = choices_of(space)
            text = choices.text_of(own) if choices.contains(own) else choices.texts[0]
            parameters.Choice(space.name, list(choices.texts), default=text)
    return parameters


def starts_with_preset(plan: Plan) -> bool:
    """Whether the values of the preset are in the spaces."""
    return is_of(plan.spaces, plan.experiment)


def values_of(plan: Plan, trial: Mapping[str, object]) -> dict[str, object]:
    """Settings by dotted name, of the values of a trial."""
    settings: dict[str, object] = {}
    for space in plan.spaces:
        if space.name in trial:
            taken = choices_of(space) if plan.options.tuner == "grid" else space
            settings[space.name] = taken.value(trial[space.name])
    if STRENGTH in trial:
        settings[plan.strength] = trial[STRENGTH]
    return settings


def with_steps(plan: Plan, trial: Mapping[str, object], settings: Mapping[str, object]) -> dict[str, object]:
    """Settings with fewer steps where Hyperband says so."""
    if BUDGET not in trial:
        return dict(settings)
    steps = settings.get("train.steps", plan.experiment.train.steps)
    return {**settings, "train.steps": max(1, round(float(str(steps)) * budget_of(trial)))}


def budget_of(trial: Mapping[str, object]) -> float:
    """Share of the steps that a trial takes."""
    return float(str(trial.get(BUDGET, ALL))) / ALL


def strengths_of(plan: Plan, count: int) -> tuple[float, ...]:
    """The strengths of the second phase, the highest first."""
    (space,) = [space for space in plan.spaces if space.name == plan.strength]
    if not isinstance(space, Range):
        return tuple(sorted((float(str(value)) for value in space.values), reverse=True))[:count]
    return tuple(
        rounded(space.high * (space.low / space.high) ** (number / max(1, count - 1))) for number in range(count)
    )


def is_accepted(plan: Plan, trial: Trial) -> bool:
    """Whether a trial of the second phase is good enough."""
    values, score = trial.hyperparameters.values, trial.score
    return score is not None and WANTED in values and not plan.objective.is_better(values[WANTED], score)
