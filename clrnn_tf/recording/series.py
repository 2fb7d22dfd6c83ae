"""What observers of a run record under which name, and the steps of all tasks on one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import TaskResult, TrainingLog, ValidationLog

HEADLINES = {
    "mean_final_accuracy": "final accuracy, %",
    "mean_during_accuracy": "during accuracy, %",
    "forgetting": "forgetting, points",
    "worst_final_accuracy": "worst task, final, %",
}
"""Results of a whole run, by their names in `results.json`: what they are called."""
_RECORDED = "steps of learned tasks"  # an entry of what observers have recorded


class StepsOfAllTasks:
    """Counts the steps of tasks that are learned, so that the next task goes on where the last one ended.

    Args:
      steps: Of a task, as far as settings say it.

    Example:
      >>> steps = StepsOfAllTasks(100)
      >>> steps.began(0)
      >>> steps.learned(80)  # stopped early
      >>> steps.of(5), steps.recorded()
      (85, {'steps of learned tasks': 80})
    """

    def __init__(self, steps: int) -> None:
        self._steps, self._before = steps, 0
        self._known: int | None = None

    def recorded(self) -> dict[str, int]:
        """For a checkpoint; see `Observer.recorded`."""
        return {_RECORDED: self._before}

    def rewind(self, recorded: Mapping[str, int]) -> None:
        """Go back to what a checkpoint holds."""
        self._known = recorded.get(_RECORDED)

    def began(self, first_task: int) -> None:
        """A run begins with a task. Checkpoints of earlier versions do not hold how many steps were taken before."""
        self._before = first_task * self._steps if self._known is None else self._known

    def of(self, step: int) -> int:
        """The number over all tasks of a step of the present task."""
        return self._before + step

    def learned(self, steps: int) -> None:
        """A task has taken `steps` steps."""
        self._before += steps


def training_series(log: TrainingLog) -> dict[str, float]:
    """By name: the loss that is minimised, its parts where there are several, accuracy, gradient norm, speed, task."""
    penalties = {name: loss for name, loss in log.losses.items() if name not in ("total", "task")}
    parts = {"task_loss": log.losses["task"], **penalties} if penalties else {}
    values = {
        "loss": log.losses["total"],
        **parts,
        "accuracy": log.accuracy,
        "gradient_norm": log.gradient_norm,
        "milliseconds_per_step": 1e3 * log.seconds_per_step,
        "task": log.task.task_id + 1,
    }
    return _named("train", values)


def validation_series(log: ValidationLog) -> dict[str, float]:
    """All scores by name."""
    return _named("validation", log.evaluation.metrics)


def result_series(result: TaskResult, matrix: ResultMatrix) -> dict[str, float]:
    """Headline numbers so far, and the headline metric of every task, learned or not."""
    metric = matrix.headline
    scores = zip(matrix.task_names, result.evaluations, strict=True)
    return {
        **_named("result", {name: value for name, value in matrix.summary().items() if name in HEADLINES}),
        **_named(f"test_{metric}", {task: score.metrics[metric] for task, score in scores}),
    }


def _named(group: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": float(value) for name, value in values.items() if not math.isnan(value)}
