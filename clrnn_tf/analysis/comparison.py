"""Several methods on the same tasks, each with several seeds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clrnn_tf.analysis.scores import LOSS, QUANTITIES, Quantity, mean_of_tasks, of_tasks
from clrnn_tf.analysis.statistics import LEVEL, Difference, Estimate, estimate, paired_difference
from clrnn_tf.errors import nearest, require
from clrnn_tf.metrics import ResultMatrix


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in their seed only."""

    label: str
    runs: Mapping[int, ResultMatrix]
    """The finished run of each seed."""
    method: str = ""
    """Which has its colour in figures."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in ascending order."""
        return tuple(sorted(self.runs))

    @property
    def matrices(self) -> list[ResultMatrix]:
        """The runs, in ascending order of their seeds."""
        return [self.runs[seed] for seed in self.seeds]

    def by_seed(self, quantity: Quantity, metric: str, task: str | None = None) -> dict[int, float]:
        """A score of each run: that of one task, or without one the mean over tasks."""
        if task is None:
            return {seed: mean_of_tasks(self.runs[seed], quantity, metric) for seed in self.seeds}
        index = self.matrices[0].task_names.index(task)
        return {seed: float(of_tasks(self.runs[seed], quantity, metric)[index]) for seed in self.seeds}


class Score(NamedTuple):
    """What a group reaches on a task, or on average over tasks."""

    label: str
    quantity: Quantity
    task: str | None
    """None stands for the mean over tasks."""
    estimate: Estimate


class PairedScore(NamedTuple):
    """How far a group is above another on a task, or on average, over the seeds that both have."""

    label: str
    against: str
    """Label of the group that is subtracted."""
    quantity: Quantity
    task: str | None
    difference: Difference


@dataclass(frozen=True)
class MethodComparison:
    """Scores of groups, and their differences from one of them. `compare` makes it."""

    groups: tuple[SeedGroup, ...]
    metric: str
    level: float
    """Of the intervals."""
    against: str
    """Label of the group that is subtracted from the others."""
    scores: tuple[Score, ...] = field(repr=False)
    differences: tuple[PairedScore, ...] = field(repr=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order in which they are learned."""
        return self.groups[0].matrices[0].task_names

    @property
    def unit(self) -> str:
        """Of scores; of the loss, "" where it is not known, or runs differ."""
        units = {matrix.loss_unit for group in self.groups for matrix in group.matrices}
        return "%" if self.metric != LOSS else units.pop() if len(units) == 1 else ""

    def score(self, label: str, quantity: Quantity, task: str | None = None) -> Estimate:
        """What a group reaches on a task, or on average."""
        return next(score.estimate for score in self.scores if score[:3] == (label, quantity, task))

    def difference(self, label: str, quantity: Quantity, task: str | None = None) -> Difference:
        """How far a group is above the one that is subtracted."""
        cell = (label, self.against, quantity, task)
        return next(score.difference for score in self.differences if score[:4] == cell)


def compare(
    groups: Sequence[SeedGroup], metric: str = "accuracy", level: float = LEVEL, against: str | None = None
) -> MethodComparison:
    """Compare groups of runs on the same tasks.

    Args:
      groups: At least one, with different labels.
      metric: A name in `Evaluation.metrics`.
      level: Of the intervals.
      against: Label of the group that is subtracted from the others; by default, the first.

    Raises:
      ConfigurationError: Labels or metric are unknown or not as they must be, or groups have other tasks.

    Example:
      >>> from clrnn_tf import Evaluation, ResultMatrix
      >>> def run(accuracy):
      ...     return ResultMatrix(("a",), rows=[[Evaluation(0.1, accuracy)]])
      >>> one = SeedGroup("HNET", {0: run(99.0), 1: run(97.0)})
      >>> other = SeedGroup("SI", {0: run(90.0), 1: run(89.0)})
      >>> comparison = compare([one, other])
      >>> comparison.score("HNET", "final").mean, comparison.difference("SI", "final").estimate.mean
      (98.0, -8.5)
    """
    labels = [group.label for group in groups]
    _require_comparable(groups, labels)
    against = against or labels[0]
    require(against in labels, f"unknown label '{against}'.{nearest(against, labels)}")
    cells = [(quantity, task) for quantity in QUANTITIES for task in (*groups[0].matrices[0].task_names, None)]
    values = {
        group.label: {(quantity, task): group.by_seed(quantity, metric, task) for quantity, task in cells}
        for group in groups
    }
    scores = [
        Score(label, *cell, estimate([*values[label][cell].values()], level)) for label in labels for cell in cells
    ]
    differences = [
        PairedScore(label, against, *cell, paired_difference(values[label][cell], values[against][cell], level))
        for label in labels
        if label != against
        for cell in cells
    ]
    return MethodComparison(tuple(groups), metric, level, against, tuple(scores), tuple(differences))


def _require_comparable(groups: Sequence[SeedGroup], labels: Sequence[str]) -> None:
    require(bool(groups), "a comparison needs at least one group of runs. Received: none.")
    require(len({*labels}) == len(labels), f"labels must differ. Received: {', '.join(labels)}.")
    require(all(group.runs for group in groups), "every group needs at least one run. Received: one without.")
    names = groups[0].matrices[0].task_names
    for group in groups:
        for seed, matrix in group.runs.items():
            tasks, here = ", ".join(matrix.task_names), f"{group.label}, seed {seed}"
            require(matrix.task_names == names, f"tasks must be {', '.join(names)}. Received: {tasks} ({here}).")
