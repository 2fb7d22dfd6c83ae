"""Scores of a run task by task, for any metric: right after learning, at the end, and what was forgotten."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from clrnn_tf.errors import require
from clrnn_tf.metrics import ResultMatrix

Quantity = Literal["during", "final", "forgetting"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
LOSS = "loss"
"""The one metric of which less is better, and that is not in percent."""


def of_tasks(matrix: ResultMatrix, quantity: Quantity, metric: str) -> np.ndarray:
    """Scores of all K tasks, [K].

    With R the matrix of the metric (row i: after learning task i, column j: tested on task j), task j has
      during        R[j, j]
      final         R[K-1, j]
      forgetting    max_{j<=i<K-1} R[i, j] - R[K-1, j], for j < K-1   (Chaudhry et al. 2018)
    Of the loss, forgetting is the rise above the lowest. The last task cannot have been forgotten: it has nan, as all
    tasks have during and forgetting where they were learned jointly.

    Raises:
      ConfigurationError: There is no such metric, or not all tasks are learned.

    Example: the first task falls from 80 to 60 % when the second is learned.
      >>> from clrnn_tf import Evaluation, ResultMatrix
      >>> matrix = ResultMatrix(("a", "b"))
      >>> matrix.add([Evaluation(1.0, 80.0), Evaluation(3.0, 30.0)])
      >>> matrix.add([Evaluation(2.0, 60.0), Evaluation(1.0, 90.0)])
      >>> of_tasks(matrix, "forgetting", "accuracy")
      array([20., nan])
    """
    require(matrix.finished, f"scores need all {len(matrix.row_names)} rows. Received: {len(matrix.rows)}.")
    if quantity == "during":
        return matrix.during(metric)
    if quantity == "final":
        return matrix.final(metric)
    forgotten = np.full(matrix.num_tasks, np.nan)
    scores = matrix.scores(metric) * (-1.0 if metric == LOSS else 1.0)
    for task in range(len(scores) - 1):
        forgotten[task] = scores[task:-1, task].max() - scores[-1, task]
    return forgotten


def mean_of_tasks(matrix: ResultMatrix, quantity: Quantity, metric: str) -> float:
    """The mean of `of_tasks`; of forgetting, over all tasks but the last."""
    scores = of_tasks(matrix, quantity, metric)
    return float(np.mean(scores[:-1] if quantity == "forgetting" and len(scores) > 1 else scores))


def so_far(matrix: ResultMatrix, metric: str) -> np.ndarray:
    """Mean over the tasks learned so far, after each row: [K], or [1] where tasks were learned jointly."""
    scores = matrix.scores(metric)
    if matrix.joint:
        return scores.mean(axis=1)
    return np.array([row[: number + 1].mean() for number, row in enumerate(scores)])
