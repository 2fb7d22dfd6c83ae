"""Progress of a run: a live line on a terminal, plain lines elsewhere, a table at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.streams.tasks import Task, TaskStream

_SECONDS_BETWEEN_LINES = 10.0


class ProgressReporter(Observer):
    """Reports task, step, losses, accuracies, speed, and the time left for the whole run.

    Args:
      console: Where to write; decides whether it is a terminal.
      clock: Seconds since any fixed moment.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> import io
      >>> from rich.console import Console
      >>> from clrnn_tf import ProgressReporter, learn
      >>> screen = io.StringIO()
      >>> trainer.observers.append(ProgressReporter(Console(file=screen)))
      >>> matrix = learn(stream, trainer)
      >>> "accuracy" in screen.getvalue()
      True
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console()
        self._clock = clock
        self._live: Live | None = None
        self._num_tasks = 0
        self._validation = math.nan
        self._first_log: float | None = None  # the time of the first entry, before which the step was compiled
        self._first_steps = 0
        self._last_line = -math.inf
        self._steps_done = 0
        self._last_step = 0

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Say with which task a run is continued, and begin the live line."""
        self._num_tasks = len(matrix.row_names)
        if first_task:
            self._console.print(f"continuing with task {first_task + 1}/{len(stream)}")
        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, refresh_per_second=4)
            self._live.start()

    def task_began(self, task: Task) -> None:
        """Say why nothing happens at first: the step is compiled when the first task begins."""
        if not self._steps_done:
            self._console.print("compiling the training step ...", highlight=False)

    def trained(self, log: TrainingLog) -> None:
        """Show the present state: at once, and then at most every ten seconds where it is no terminal."""
        previous = self._last_step if log.step > self._last_step else 0
        self._steps_done += log.step - previous
        self._last_step = log.step
        line = self._line(log)
        if self._first_log is None:
            self._first_log, self._first_steps = self._clock(), self._steps_done
        if self._live is not None:
            self._live.update(Text(line), refresh=True)
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def validated(self, log: ValidationLog) -> None:
        """Remember the latest validation accuracy."""
        self._validation = log.evaluation.accuracy

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """One line for the finished task."""
        self._validation, self._last_step = math.nan, 0
        scores = result.evaluations if matrix.joint else [result.evaluations[result.task.task_id]]
        loss, accuracy = (np.mean([getattr(score, name) for score in scores]) for name in ("loss", "accuracy"))
        shown = f"loss {loss:.4g}" if math.isnan(accuracy) else f"accuracy {accuracy:.2f} %"
        metric = _shown_metric(matrix)
        mean = f"{matrix.final(metric).mean():.2f} %" if metric == "accuracy" else f"{matrix.final(metric).mean():.4g}"
        kept = sum(result.kept_bytes.values())
        self._console.print(
            f"task {len(matrix.rows)}/{self._num_tasks} {result.task.name}: {shown} in {result.train_seconds:.0f} s; "
            f"mean of tasks so far {mean}{f'; keeps {kept / 1e6:.2f} MB' if kept else ''}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )

    def run_ended(self, matrix: ResultMatrix) -> None:
        """The final table."""
        self._stop()
        self._console.print(results_table(matrix))

    def run_failed(self, error: BaseException) -> None:
        """Leave the terminal as it was."""
        self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _line(self, log: TrainingLog) -> str:
        losses = " ".join(f"{name} {value:.4g}" for name, value in log.losses.items() if name != "total")
        parts = [
            f"task {log.task.task_id + 1}/{self._num_tasks} {log.task.name}",
            f"step {log.step}/{log.num_steps}",
            losses,
            "" if math.isnan(log.accuracy) else f"train {log.accuracy:.1f} %",
            "" if math.isnan(self._validation) else f"validation {self._validation:.1f} %",
            *self._speed(log),
        ]
        return " | ".join(part for part in parts if part)

    def _speed(self, log: TrainingLog) -> list[str]:
        """Time for a step, and time left; nothing in the first entry, most of whose time went into compiling."""
        if self._first_log is None:
            return []
        remaining_tasks = self._num_tasks - log.task.task_id - 1
        remaining = remaining_tasks * log.num_steps + log.num_steps - log.step
        seconds_a_step = (self._clock() - self._first_log) / max(self._steps_done - self._first_steps, 1)
        return [f"{1e3 * log.seconds_per_step:.1f} ms/step", f"{_duration(seconds_a_step * remaining)} left"]


def results_table(matrix: ResultMatrix) -> Table:
    """During and final accuracy of each task, then their means and what was forgotten; losses without an accuracy."""
    metric = _shown_metric(matrix)
    table = Table(title="test accuracy, %" if metric == "accuracy" else f"test {metric}")
    for name in ("task", "during", "final", "change"):
        table.add_column(name, justify="left" if name == "task" else "right")
    decimals = 2 if metric == "accuracy" else 4
    during, final = matrix.during(metric), matrix.final(metric)

    def add(name: str, during: float, final: float) -> None:
        change = number_text(final - during, "+", decimals)
        table.add_row(name, number_text(during, "", decimals), number_text(final, "", decimals), change)

    for row in zip(matrix.task_names, during, final, strict=False):
        add(*row)
    table.add_section()
    add("mean", float(during.mean()), float(final.mean()))
    if metric == "accuracy":
        summary = matrix.summary()
        table.caption = (
            f"forgetting {number_text(summary['forgetting'])}, "
            f"backward transfer {number_text(summary['backward_transfer'])}, "
            f"worst final {number_text(summary['worst_final_accuracy'])}"
        )
    return table


def _shown_metric(matrix: ResultMatrix) -> str:
    """`accuracy`, or `loss` where outputs have no accuracy."""
    return "loss" if np.isnan(matrix.scores()).all() else "accuracy"


def number_text(value: float, sign: str = "", decimals: int = 2) -> str:
    """A number with some decimals, or a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:{sign}.{decimals}f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
