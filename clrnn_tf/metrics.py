"""Scores of one evaluation, and what a matrix of them says about forgetting."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from clrnn_tf.errors import require


@dataclass(frozen=True)
class Evaluation:
    """Scores of one task on one split.

    Example:
      >>> from clrnn_tf import Evaluation
      >>> Evaluation(loss=0.5, accuracy=80.0).metrics
      {'loss': 0.5, 'accuracy': 80.0}
    """

    loss: float
    """Sum over time of the loss-weighted losses of steps, mean over sequences; in the unit of the kind of output."""
    accuracy: float
    """Percent of the scored steps (softmax) or output bits (sigmoid) that are right; nan for linear outputs."""
    confusion: np.ndarray | None = None
    """[C, C] scored steps by (true class, predicted class); softmax only."""
    further: Mapping[str, float] = field(default_factory=dict)
    """Other metrics of the kind of output, by name; percent."""

    @classmethod
    def of(cls, loss: float, metrics: Mapping[str, float], confusion: np.ndarray | None = None) -> Evaluation:
        """From the loss and what `OutputKind.metrics` returns."""
        further = {name: value for name, value in metrics.items() if name != "accuracy"}
        return cls(loss, metrics["accuracy"], confusion, further)

    @functools.cached_property
    def metrics(self) -> Mapping[str, float]:
        """Every score by its name: `loss` in its own unit, all others in percent. Records and reports use these."""
        of_classes = {} if self.confusion is None else {"weighted_f1": weighted_f1(self.confusion)}
        return {"loss": self.loss, "accuracy": self.accuracy, **of_classes, **self.further}

    @property
    def quality(self) -> float:
        """The accuracy, or the negative loss where there is no accuracy; higher is better."""
        return -self.loss if math.isnan(self.accuracy) else self.accuracy


def weighted_f1(confusion: np.ndarray) -> float:
    """F1 of each class weighted by its true count, in percent; scikit-learn's `average="weighted"`.

    A class that is neither true nor predicted has weight 0, so `zero_division` cannot matter.

    Args:
      confusion: [C, C] counts by (true class, predicted class).
    """
    confusion = np.asarray(confusion, np.float64)
    hits = np.diagonal(confusion)
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * hits / np.maximum(true + predicted, 1e-12)
    return float(100.0 * np.sum(f1 * true) / np.sum(true)) if true.sum() > 0 else math.nan


@dataclass
class ResultMatrix:
    """Scores of all K tasks after each task: row i = after learning task i, column j = tested on task j.

    With R the accuracy matrix, b the accuracies before any training and K tasks:
      during    mean_j R[j, j]            (right after learning it)
      final     mean_j R[K-1, j]
      forgetting          mean_{j<K-1} max_{i<K-1} R[i, j] - R[K-1, j], over i >= j   (Chaudhry et al. 2018)
      backward transfer   mean_{j<K-1} R[K-1, j] - R[j, j]                             (Lopez-Paz & Ranzato 2017)
      forward transfer    mean_{j>0} R[j-1, j] - b[j]                                  (Lopez-Paz & Ranzato 2017)
    All in percent (points). Before the last task is learned, the last learned row stands for "final".

    Where all tasks are learned jointly, there is a single row. "Final" is defined then; "during" and everything derived
    from it are nan.

    Example: the first task falls from 80 to 60 % when the second is learned.
      >>> from clrnn_tf import Evaluation, ResultMatrix
      >>> matrix = ResultMatrix(("a", "b"))
      >>> matrix.add([Evaluation(1.0, 80.0), Evaluation(3.0, 30.0)])
      >>> matrix.add([Evaluation(2.0, 60.0), Evaluation(1.0, 90.0)])
      >>> matrix.forgetting(), float(matrix.final().mean())
      (20.0, 75.0)
    """

    task_names: tuple[str, ...]
    initial: list[Evaluation] = field(default_factory=list)
    """Scores of every task before training."""
    rows: list[list[Evaluation]] = field(default_factory=list)
    joint: bool = False
    """Whether all tasks are learned at once."""
    loss_unit: str = "nats"
    """Of the losses, in words; "" where it is not known."""

    @property
    def num_tasks(self) -> int:
        """K, the number of all tasks."""
        return len(self.task_names)

    @property
    def row_names(self) -> tuple[str, ...]:
        """What is learned before each row of the finished matrix."""
        return ("all_tasks",) if self.joint else self.task_names

    @property
    def finished(self) -> bool:
        """Whether everything is learned."""
        return len(self.rows) == len(self.row_names)

    @property
    def num_learned(self) -> int:
        """Tasks learned so far."""
        return self.num_tasks * len(self.rows) if self.joint else len(self.rows)

    def require_whole(self) -> None:
        """Require scores of all tasks in every row, as numbers.

        Raises:
          ValueError: There are others.
        """
        for row in (self.initial, *self.rows):
            numbers = [score for evaluation in row for score in evaluation.metrics.values()]
            if len(row) != self.num_tasks or not all(isinstance(number, float | int) for number in numbers):
                raise ValueError(f"every row must hold numbers of {self.num_tasks} tasks")
        if len(self.rows) > len(self.row_names):
            raise ValueError(f"there must be at most {len(self.row_names)} rows")

    def add(self, evaluations: list[Evaluation]) -> None:
        """Append the row measured after the next task."""
        require(
            len(evaluations) == self.num_tasks,
            f"a row needs one evaluation for each of the {self.num_tasks} tasks. Received: {len(evaluations)}.",
        )
        require(not self.finished, f"there is no row after the last of {len(self.row_names)}. Received: another one.")
        self.rows.append(evaluations)

    def scores(self, metric: str = "accuracy") -> np.ndarray:
        """[rows, K] of one metric by its name in `Evaluation.metrics`."""
        known = self.rows[0][0].metrics if self.rows else {metric: math.nan}
        require(metric in known, f"metric must be one of {', '.join(known)}. Received: {metric}.")
        scores = [[evaluation.metrics[metric] for evaluation in row] for row in self.rows]
        return np.array(scores, np.float64).reshape(len(self.rows), self.num_tasks)

    @property
    def further_metrics(self) -> tuple[str, ...]:
        """Names of the metrics besides loss and accuracy; () before the first row."""
        names = self.rows[0][0].metrics if self.rows else ()
        return tuple(name for name in names if name not in ("loss", "accuracy"))

    @property
    def headline(self) -> str:
        """The metric in percent to show first: `accuracy`, or else one that is defined for outputs without it."""
        others = [name for name in self.further_metrics if np.isfinite(self.scores(name)).any()]
        return "accuracy" if not others or np.isfinite(self.scores()).any() else others[0]

    def during(self, metric: str = "accuracy") -> np.ndarray:
        """Score of each learned task right after learning it; nan where tasks are learned jointly."""
        return np.full(self.num_learned, np.nan) if self.joint else np.diagonal(self.scores(metric)).copy()

    def final(self, metric: str = "accuracy") -> np.ndarray:
        """Score of each learned task after the last one learned; [0] before the first row."""
        return self.scores(metric)[-1:, : self.num_learned].ravel()

    def forgetting(self, metric: str = "accuracy") -> float:
        """Mean drop from a task's best earlier score, in percent, to its last one; nan with fewer than two tasks."""
        scores, learned = self.scores(metric), len(self.rows)
        drops = [scores[j : learned - 1, j].max() - scores[-1, j] for j in range(learned - 1)]
        return float(np.mean(drops)) if drops else math.nan

    def backward_transfer(self, metric: str = "accuracy") -> float:
        """Mean change of old tasks since they were learned (negative: forgetting); nan with fewer than two."""
        changes = (self.final(metric) - self.during(metric))[:-1] if len(self.rows) > 1 else []
        return float(np.mean(changes)) if len(changes) else math.nan

    def forward_transfer(self) -> float:
        """Mean gain over the untrained network on tasks not yet learned; nan with fewer than two tasks."""
        scores = self.scores()
        gains = [scores[j - 1, j] - self.initial[j].accuracy for j in range(1, len(self.rows))]
        return float(np.mean(gains)) if gains and self.initial else math.nan

    def summary(self) -> dict[str, float]:
        """The headline numbers, in percent, by their names in `results.json`.

        Raises:
          ConfigurationError: No task has been learned.
        """
        require(bool(self.rows), "a summary needs at least one learned task. Received: none.")
        final = self.final()
        summary = {
            "mean_during_accuracy": float(self.during().mean()),
            "mean_final_accuracy": float(final.mean()),
            "worst_final_accuracy": float(final.min()),
            "forgetting": self.forgetting(),
            "backward_transfer": self.backward_transfer(),
            "forward_transfer": self.forward_transfer(),
        }
        for name in self.further_metrics:
            summary[f"mean_during_{name}"] = float(self.during(name).mean())
            summary[f"mean_final_{name}"] = float(self.final(name).mean())
        return summary
