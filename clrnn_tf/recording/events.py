"""Events of a run, and the base class of what watches it. Observers never influence training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.streams.tasks import Task, TaskStream


@dataclass(frozen=True)
class TrainingLog:
    """What is logged every `log_every` steps: means over the steps since the last entry."""

    task: Task
    step: int
    """Steps of this task done so far."""
    num_steps: int
    """Steps of this task in all."""
    losses: dict[str, float]
    """By name: `total`, `task`, and each penalty (`output_regularizer`, ...); in the unit of the loss."""
    accuracy: float
    """Percent on the training batches; nan for linear outputs."""
    gradient_norm: float
    """Global norm before clipping."""
    seconds_per_step: float


@dataclass(frozen=True)
class ValidationLog:
    """One validation of the current task."""

    task: Task
    step: int
    evaluation: Evaluation


@dataclass(frozen=True)
class TaskResult:
    """What is known right after a task was learned."""

    task: Task
    """It may be one that mixes those of the stream; see `Task.parts`."""
    evaluations: list[Evaluation]
    """Test scores of all K tasks."""
    train_seconds: float
    eval_seconds: float
    steps: int
    """Steps taken (fewer than configured after early stopping)."""
    kept_bytes: dict[str, int] = field(default_factory=dict)
    """Memory that the method keeps for old tasks, in bytes by purpose."""
    compile_seconds: float = 0.0
    """Spent on compiling since the trainer was made, an estimate; see `clrnn_tf.execution.call_times`."""
    compile_share: float = 0.0
    """Of the time of all steps, validations and tests since then."""
    task_embeddings: np.ndarray | None = None
    """[K, D], of all tasks; None where the method has none."""


class Observer:
    """Base of everything that watches a run: progress, files, TensorBoard.

    A subclass overrides the methods that it needs; the others do nothing.

    Example:
      >>> from clrnn_tf import Observer
      >>> class Printer(Observer):
      ...     def task_learned(self, result, matrix):
      ...         print(f"{result.task.name}: {matrix.final().mean():.1f} %")
      >>> observers = [Printer()]  # for build_trainer
    """

    def recorded(self) -> Mapping[str, int]:
        """Bytes of each file that is appended to, by a name; they are on the disk when this returns. Other counts may
        stand beside them.

        Asked before a checkpoint is written, which holds the answer.
        """
        return {}

    def rewind(self, recorded: Mapping[str, int]) -> None:
        """Called before `run_began` where checkpoints are written.

        Cut every file to the size that the checkpoint holds with which the run goes on: what was recorded after it is
        recorded again. Nothing is to be kept where a name is missing; a new run has none.
        """

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """A run starts, with task `first_task`.

        That is above 0 when a run is resumed; `matrix` then has the rows so far.
        """

    def task_began(self, task: Task) -> None:
        """The training of `task` starts."""

    def trained(self, log: TrainingLog) -> None:
        """Called every `log_every` steps with means over the steps since the last call."""

    def validated(self, log: ValidationLog) -> None:
        """Called after each validation of the current task."""

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Called when a task has been learned and all tasks have been tested; `matrix` includes the new row."""

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Called after the last task."""

    def run_failed(self, error: BaseException) -> None:
        """Called when an exception ends the run, KeyboardInterrupt included. Close what is open."""
