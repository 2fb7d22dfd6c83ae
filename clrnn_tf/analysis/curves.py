"""Curves over training, from the entries of `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Curves = Mapping[int, Mapping[int, float]]
"""By task id and step: a value of the task that is being learned."""


class OverTraining(NamedTuple):
    """Curves of several methods on one axis, on which every task is equally wide."""

    groups: list[list[tuple[np.ndarray, np.ndarray]]]
    """For each method and task: places [P] on the axis, and values [seeds, P]."""
    borders: list[float]
    """Where each task begins."""
    span: float
    """How wide a task is: its steps; 1 where methods take different numbers of them."""
    label: str
    """Of the axis."""


def curves_of(entries: Iterable[Mapping[str, object]], metric: str, kind: str = "validation") -> Curves:
    """The values of a metric in the entries of a log.

    Args:
      entries: The lines of `metrics.jsonl`.
      metric: Its name.
      kind: `validation`, or `train`.

    Example:
      >>> curves_of([{"kind": "validation", "task_id": 0, "step": 50, "accuracy": 70.0}], "accuracy")
      {0: {50: 70.0}}
    """
    found: dict[int, dict[int, float]] = {}
    for entry in entries:
        value = entry.get(metric)
        if entry.get("kind") == kind and isinstance(value, int | float):
            found.setdefault(int(str(entry["task_id"])), {})[int(str(entry["step"]))] = float(value)
    return found


def over_training(logs: Sequence[Sequence[Curves]]) -> OverTraining:
    """Put the curves of several methods on one axis.

    Args:
      logs: For each method, the curves of its runs. Of a task, steps that are in all runs of the method are taken.
    """
    lengths = [max((max(steps) for run in runs for steps in run.values()), default=1) for runs in logs]
    alike = len({*lengths}) == 1
    span = float(lengths[0]) if alike else 1.0
    count = max((task + 1 for runs in logs for run in runs for task in run), default=1)
    groups = []
    for runs, length in zip(logs, lengths, strict=True):
        of_group = []
        for task in range(count):
            of_task = [run.get(task, {}) for run in runs]
            steps = sorted(set(of_task[0]).intersection(*of_task[1:]))
            where = span * (task + np.array(steps, np.float64) / length)
            of_group.append((where, np.array([[values[step] for step in steps] for values in of_task])))
        groups.append([curve for curve in of_group if len(curve[0])])
    label = "training step" if alike else "training of each task, from its first step to its last"
    return OverTraining(groups, [span * task for task in range(count)], span, label)
