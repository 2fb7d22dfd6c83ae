"""Values of a trial: as Keras Tuner has them, and as settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial

from trainers.searching.plans import PLASTICITY, Plan
from trainers.searching.spaces import Range, choices_of, is_of, present, rounded

BUDGET, ALL = "tuner/epochs", 9
"""Name under which Hyperband says how many ninths of the steps a trial takes, and their number."""
PHASE, STRENGTH, WANTED = "phase", "strength", "wanted"
"""What a trial of plasticity-stability has besides: its phase, its strength, and the score that is good enough."""


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
