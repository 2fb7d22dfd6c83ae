"""Validations while tasks are trained: the best weights so far, and whether to stop early."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.metrics import Evaluation
from clrnn_tf.recording.events import Observer, ValidationLog
from clrnn_tf.streams.tasks import Split, Task


class Validation:
    """Scores tasks on their validation splits and remembers the best step.

    A step's score is the mean over tasks of their accuracy in percent, or of their negative loss where outputs have
    no accuracy.

    Args:
      tasks: Tasks that may have a validation split.
      evaluate: Scores a task on a split.
      variables: What is stored of the best step.
      config: `keep_best` and `early_stopping`.
      observers: They get each validation.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        evaluate: Callable[[Task, Split], Evaluation],
        variables: Sequence[tf.Variable],
        config: TrainConfig,
        observers: Sequence[Observer],
    ) -> None:
        self._splits = [(task, task.validation) for task in tasks if task.validation is not None]
        self._evaluate, self._variables = evaluate, variables
        self._config, self._observers = config, observers
        self.best_score = -math.inf
        self.best_values: list[np.ndarray] | None = None
        """Values of the variables at the best step; None before it, or where they are not kept."""
        self.without_gain = 0
        """Validations in a row that brought no gain."""

    @property
    def has_data(self) -> bool:
        """Whether any task has a validation split."""
        return bool(self._splits)

    @property
    def should_stop(self) -> bool:
        """Whether `early_stopping` validations in a row brought no gain."""
        patience = self._config.early_stopping
        return patience is not None and self.without_gain >= patience

    def run(self, step: int) -> None:
        """Validate after `step` steps."""
        evaluations = [self._evaluate(task, split) for task, split in self._splits]
        score = float(np.mean([evaluation.quality for evaluation in evaluations]))
        if score > self.best_score:
            self.best_score, self.without_gain = score, 0
            if self._config.keep_best:
                self.best_values = [variable.numpy() for variable in self._variables]
        else:
            self.without_gain += 1
        for observer in self._observers:
            for (task, _), evaluation in zip(self._splits, evaluations, strict=True):
                observer.validated(ValidationLog(task, step, evaluation))

    def restore_best(self) -> None:
        """Give the variables the values of the best step, if they were stored."""
        if self.best_values is not None:
            for variable, value in zip(self._variables, self.best_values, strict=True):
                variable.assign(value)
