"""What a search maximises or minimises: a mean over tasks of one metric, always on validation data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clrnn_tf.errors import require
from clrnn_tf.metrics import ResultMatrix

_NAMES = {"f1": "weighted_f1"}


@dataclass(frozen=True)
class Objective:
    """A metric, and when it is measured.

    Example: after the second task, the first has fallen to 60 %.
      >>> from clrnn_tf import Evaluation, ResultMatrix
      >>> matrix = ResultMatrix(("a", "b"))
      >>> matrix.add([Evaluation(1.0, 80.0), Evaluation(3.0, 30.0)])
      >>> matrix.add([Evaluation(2.0, 60.0), Evaluation(1.0, 90.0)])
      >>> Objective("accuracy", "final").score(matrix), Objective("accuracy", "during").score(matrix)
      (75.0, 85.0)
    """

    metric: str
    """`accuracy`, `f1`, `loss`, or another metric of the outputs, such as `explained_variance`."""
    when: Literal["final", "during"]
    """`final`: after the last task; `during`: of each task right after learning it."""

    @property
    def name(self) -> str:
        """As in `mean final accuracy`."""
        return f"mean {self.when} {self.metric}"

    @property
    def unit(self) -> str:
        """Behind a number: percent; "" for the loss, whose unit is that of the outputs."""
        return "" if self.minimized else " %"

    @property
    def minimized(self) -> bool:
        """Whether lower is better: of the loss."""
        return self.metric == "loss"

    @property
    def perfect(self) -> float:
        """The best possible value."""
        return 0.0 if self.minimized else 100.0

    def is_better(self, one: float, other: float) -> bool:
        """Whether a value is better than another."""
        return one < other if self.minimized else one > other

    def score(self, matrix: ResultMatrix) -> float:
        """The mean over all K tasks; tasks that are not learned yet count as they are scored now.

        Raises:
          ConfigurationError: The metric is unknown, or not defined for these tasks.
        """
        rows, learned = matrix.scores(_NAMES.get(self.metric, self.metric)), matrix.num_learned
        of_tasks = rows[-1].copy()
        if self.when == "during":
            of_tasks[:learned] = np.diagonal(rows)[:learned] if not matrix.joint else math.nan
        score = float(of_tasks.mean())
        why = "all tasks are learned at once" if matrix.joint and self.when == "during" else "these outputs have none"
        require(
            math.isfinite(score),
            f"a search needs a number as {self.name}, and {why}. Choose --objective loss, or another protocol.",
        )
        return score

    def bound(self, matrix: ResultMatrix) -> float:
        """The score if all tasks that are left were learned perfectly, and nothing were forgotten from now on.

        No run does better, unless later tasks help earlier ones.
        """
        rows, learned = matrix.scores(_NAMES.get(self.metric, self.metric)), matrix.num_learned
        so_far = np.diagonal(rows)[:learned] if self.when == "during" else rows[-1, :learned]
        return (float(so_far.sum()) + (matrix.num_tasks - learned) * self.perfect) / matrix.num_tasks
