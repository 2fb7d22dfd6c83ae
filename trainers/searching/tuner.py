"""The tuner: asks an oracle for values, runs a trial with them, and tells what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.errors import FailedTrialError, FatalRuntimeError
from keras_tuner.src import config

from clrnn_tf.errors import ConfigurationError
from trainers.searching.plans import Plan
from trainers.searching.spaces import as_typed
from trainers.searching.trials import Outcome, TrialFailedError
from trainers.searching.values import BUDGET, WANTED, values_of, with_steps

_SECONDS_BETWEEN_QUESTIONS = 0.5
config.DEBUG = False  # else it prints the traceback of every failed trial


class RefusedError(FatalRuntimeError):
    """What Keras Tuner lets through: an error that ends the search and not the trial alone."""


class SearchTuner(kt.Tuner):
    """A tuner whose trials are runs of a trainer.

    Args:
      plan: The search.
      oracle: Of `make_oracle`.
      run: Runs a trial: its name, its settings by dotted name, and the score below which it is of no use.
      say: Prints a line.
    """

    def __init__(
        self,
        plan: Plan,
        oracle: Any,
        run: Callable[[str, dict[str, object], float | None], Outcome],
        say: Callable[[str], None],
    ) -> None:
        self._plan, self._run, self._say = plan, run, say
        self._waits = False
        super().__init__(oracle=oracle, directory=str(plan.out), project_name=plan.trials.name)

    def save(self) -> None:
        """The journal has the state."""

    def pre_create_trial(self) -> None:
        """Do not ask at once again where no trial came: the oracle waits for others."""
        if self._waits:
            time.sleep(_SECONDS_BETWEEN_QUESTIONS)
        self._waits = True

    def run_trial(self, trial: Trial, *args: object, **kwargs: object) -> dict[str, float]:
        """Run a trial, or go on with it.

        Returns:
          Its score.

        Raises:
          FailedTrialError: The trial failed; the search goes on.
          RefusedError: The search cannot go on.
        """
        self._waits = False
        values = trial.hyperparameters.values
        settings = with_steps(self._plan, values, values_of(self._plan, values))
        told = ", ".join(f"{name} {as_typed(value)}" for name, value in settings.items())
        best = self._best()
        try:
            outcome = self._run(trial.trial_id, settings, self._wanted(values, best))
        except TrialFailedError as error:
            self._say(f"trial {trial.trial_id}: {told}; failed: {error}")
            raise FailedTrialError(str(error)) from error
        except ConfigurationError as error:
            raise RefusedError(str(error)) from error
        score, unit = float(outcome.score or 0.0), self._plan.objective.unit
        early = ", ended early" if outcome.ended_early else ""
        before = "" if best is None else f"; best before {best:.2f}{unit}"
        took = f"{early} in {outcome.seconds:.0f} s{before}"
        self._say(f"trial {trial.trial_id}: {told}; {score:.2f}{unit}{took}")
        return {"score": score}

    def _best(self) -> float | None:
        """The best score so far."""
        trials = self.oracle.get_best_trials(1)
        ended = [trial for trial in trials if trial.status == TrialStatus.COMPLETED]
        return float(ended[0].score) if ended else None

    def _wanted(self, values: dict[str, Any], best: float | None) -> float | None:
        """The score below which a trial is of no use."""
        if not self._plan.options.early_end or BUDGET in values:  # Hyperband ranks the bad ones, too
            return None
        return values.get(WANTED, best)
