"""Compares the old tasks of an extended run with what they were, before anything is exported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.extension.beginning import read_first
from clrnn_tf.extension.settings import Extension
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.certificates import Certificate, OldTask
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.training.checkpoints import restore
from clrnn_tf.training.trainer import Trainer

_PROBES = 32  # test sequences of a task; those that its export stores


class RegressionError(RuntimeError):
    """Old tasks have become worse than is allowed. The certificate has been written.

    Example:
      >>> from clrnn_tf import RegressionError
      >>> issubclass(RegressionError, RuntimeError)
      True
    """


class Answered(NamedTuple):
    """What a model computes for one task."""

    weights: Mapping[str, np.ndarray]
    logits: np.ndarray
    """[B, T, C] of the probes, 0 in padding."""
    answers: np.ndarray | None
    """Classes [B, T] or bits [B, T, C] of the probes; None where outputs are numbers."""
    real: np.ndarray
    """[B, T], whether a step is no padding."""


class Certifier(Observer):
    """Writes the certificate of an extended run when it ends, and raises where old tasks have become worse.

    Args:
      run: The extended run.
      trainer: Its trainer.
      stream: Its tasks; the last one is new.
      extension: What is allowed.
    """

    def __init__(self, run: RunDirectory, trainer: Trainer, stream: TaskStream, extension: Extension) -> None:
        self._run, self._trainer, self._stream, self._extension = run, trainer, stream, extension

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Write `certificate.json`.

        Raises:
          RegressionError: The model must not be published.
        """
        certificate = certificate_of(self._run, self._trainer, self._stream, matrix, self._extension)
        certificate.write(self._run.path)
        if not certificate.passed:
            raise RegressionError(
                f"{certificate.fault}, so nothing is exported or published. The run and its certificate are in "
                f"{self._run.path}; --resume with a higher --max-drop exports it."
            )


def certificate_of(
    run: RunDirectory, trainer: Trainer, stream: TaskStream, matrix: ResultMatrix, extension: Extension
) -> Certificate:
    """What the new task of an extended run has done to the old ones.

    Args:
      run: The extended run.
      trainer: Its trainer, after the new task. It has the same values afterwards.
      stream: The tasks; the last one is new.
      matrix: The results.
      extension: What is allowed.
    """
    old_tasks, new = range(len(stream) - 1), stream[-1]
    start = read_first(run, len(old_tasks))
    after = {task_id: _answered(trainer, stream, task_id) for task_id in old_tasks}
    state = [*trainer.variables, *trainer.method.state_variables(), *trainer.model.state_variables()]
    values = [variable.numpy() for variable in state]
    try:
        restore(start, trainer)
        before = {task_id: _answered(trainer, stream, task_id) for task_id in old_tasks}
    finally:
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
    metric = "loss" if math.isnan(matrix.rows[-1][-1].accuracy) else "accuracy"
    scores = matrix.scores(metric)[-2:]
    return Certificate(
        new_task=new.name,
        score=float(scores[-1, -1]),
        metric=metric,
        old_tasks=tuple(
            _compared(stream[task_id].name, metric, scores[:, task_id], before[task_id], after[task_id])
            for task_id in old_tasks
        ),
        max_drop=extension.max_drop,
        keep_exact=extension.keep_exact,
    )


def _compared(name: str, metric: str, scores: np.ndarray, before: Answered, after: Answered) -> OldTask:
    was, now = map(float, scores)
    changed = 0.0
    if before.answers is not None and after.answers is not None:
        changed = 100.0 * float(np.mean((before.answers != after.answers)[before.real]))
    return OldTask(
        task=name,
        before=was,
        after=now,
        drop=now - was if metric == "loss" else was - now,
        changed_answers=changed,
        change_of_outputs=_largest(before.logits, after.logits),
        change_of_weights=max(_largest(before.weights[key], after.weights[key]) for key in before.weights),
    )


def _answered(trainer: Trainer, stream: TaskStream, task_id: int) -> Answered:
    model = trainer.model
    batch = next(iter(stream[task_id].test.in_order(_PROBES, task_id)))
    task = tf.constant(task_id)
    logits = model(batch.inputs, batch.lengths, task).logits
    real = tf.sequence_mask(batch.lengths, tf.shape(logits)[1])
    predictions = model.outputs.predictions(logits)
    answers = next((predictions[name].numpy() for name in ("classes", "bits") if name in predictions), None)
    weights = {name: weight.numpy() for name, weight in model.source(task).items()}
    return Answered(weights, tf.where(real[..., tf.newaxis], logits, 0.0).numpy(), answers, real.numpy())


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.max(np.abs(one - other), initial=0.0))
