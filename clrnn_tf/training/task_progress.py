"""How far the training of one task is: its step, the sums of the next log entry, and the validations so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from clrnn_tf.training.checkpoint_files import Arrays
from clrnn_tf.training.step import StepLog
from clrnn_tf.training.validation import Validation


class TaskProgress:
    """The state of a task in training that is in no variable.

    Args:
      loss_names: Names of the losses in a step's log.
      validation: The validations of the task.
    """

    def __init__(self, loss_names: Sequence[str], validation: Validation) -> None:
        self._loss_names = tuple(loss_names)
        self.validation = validation
        self.step = 0
        """Steps done."""
        self.sums = zero_sums(self._loss_names)
        """Sums of the logs of the steps since the last entry."""
        self.summed_steps = 0
        """How many these are."""
        self.seconds_of_sums = 0.0
        """Time that they took."""
        self.began = time.perf_counter()
        """When the training of the task began, had it never been interrupted; by `time.perf_counter`."""

    def add(self, sums: StepLog, steps: int, seconds: float) -> None:
        """Count some more steps; `sums` include those before."""
        self.sums, self.step = sums, self.step + steps
        self.summed_steps, self.seconds_of_sums = self.summed_steps + steps, self.seconds_of_sums + seconds

    def take_means(self) -> dict[str, float]:
        """Means of what was summed by name, losses first, then accuracy and gradient norm; sums start anew."""
        means = self._sums() / np.float32(self.summed_steps)
        self.sums, self.summed_steps, self.seconds_of_sums = zero_sums(self._loss_names), 0, 0.0
        return dict(zip([*self._loss_names, "accuracy", "gradient_norm"], map(float, means), strict=True))

    def _sums(self) -> np.ndarray:
        losses = [self.sums.losses[name] for name in self._loss_names]
        return np.array([*losses, self.sums.accuracy, self.sums.gradient_norm], np.float32)

    def arrays(self) -> Arrays:
        """Numbers for a checkpoint, by group."""
        return {"sums": [self._sums()], "best": self.validation.best_values or []}

    def facts(self) -> dict[str, object]:
        """Further facts for a checkpoint."""
        return {
            "summed_steps": self.summed_steps,
            "seconds_of_sums": self.seconds_of_sums,
            "seconds": time.perf_counter() - self.began,
            "best_score": self.validation.best_score,
            "validations_without_gain": self.validation.without_gain,
        }

    def restore(self, step: int, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        """Go on from a checkpoint at `step`."""
        (sums,) = arrays["sums"]
        *losses, accuracy, norm = (tf.constant(value) for value in sums)
        self.sums = StepLog(dict(zip(self._loss_names, losses, strict=True)), accuracy, norm)
        self.step, self.summed_steps = step, facts["summed_steps"]
        self.seconds_of_sums, self.began = facts["seconds_of_sums"], self.began - facts["seconds"]
        self.validation.best_score = facts["best_score"]
        self.validation.without_gain = facts["validations_without_gain"]
        self.validation.best_values = list(arrays.get("best", [])) or None


def zero_sums(loss_names: Sequence[str]) -> StepLog:
    """Sums of the logs of no step."""
    return StepLog({name: tf.constant(0.0) for name in loss_names}, tf.constant(0.0), tf.constant(0.0))
