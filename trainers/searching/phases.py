"""The protocol plasticity-stability, as a part of an oracle."""

from __future__ import annotations

from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from trainers.searching.plans import Plan
from trainers.searching.values import PHASE, STRENGTH, WANTED, is_accepted, strengths_of


class PlasticityThenStability:
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
            if answer["status"] == TrialStatus.RUNNING:
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
        return {"status": TrialStatus.RUNNING, "values": {**values, WANTED: float(share * best.score)}}
