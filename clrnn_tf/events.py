"""What a run tells those who watch it. Observers never influence training."""

from __future__ import annotations

from dataclasses import dataclass, field

from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.tasks import Task, TaskStream


@dataclass(frozen=True)
class TrainingLog:
    """Means over the steps since the last log entry."""

    task: Task
    step: int
    """Steps of this task done so far."""
    num_steps: int
    """Steps of this task in all."""
    losses: dict[str, float]
    """By name: `total`, `task`, and each penalty (`output_regularizer`, ...); nats."""
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
    """Or all of them as one, where they are learned jointly."""
    evaluations: list[Evaluation]
    """Test scores of all K tasks."""
    train_seconds: float
    eval_seconds: float
    steps: int
    """Steps taken (fewer than configured after early stopping)."""
    kept_bytes: dict[str, int] = field(default_factory=dict)
    """Memory that the method keeps for old tasks, by what it is for."""


class Observer:
    """Base of everything that watches a run: progress, files, TensorBoard. Each hook may stay as it is."""

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Training starts at task `first_task` (above 0 when a run is resumed; `matrix` has the rows so far)."""

    def task_began(self, task: Task) -> None:
        """Training of `task` starts."""

    def trained(self, log: TrainingLog) -> None:
        """Some steps were taken."""

    def validated(self, log: ValidationLog) -> None:
        """The current task was validated."""

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """A task is finished and all tasks were tested; `matrix` includes the new row."""

    def run_ended(self, matrix: ResultMatrix) -> None:
        """The last task is finished."""

    def run_failed(self, error: BaseException) -> None:
        """The run stops early because of `error` (also KeyboardInterrupt); release what is open."""
