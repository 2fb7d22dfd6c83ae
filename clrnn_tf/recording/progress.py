"""Progress of a run: a live line on a terminal, plain lines elsewhere, a table at the end."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clrnn_tf.metrics import Evaluation, ResultMatrix
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
        self._validation = ""
        self._times = _Times()
        self._logged = -math.inf  # the time of the last log entry
        self._last_line = -math.inf
        self._compiled = False

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
        if not self._compiled:
            self._compiled = True
            self._console.print("compiling the training step ...", highlight=False)

    def trained(self, log: TrainingLog) -> None:
        """Show the present state: at once, and then at most every ten seconds where it is no terminal."""
        self._times.stepped(log)
        self._logged = self._clock()
        line = self._line(log)
        if self._live is not None:
            self._live.update(Text(line), refresh=True)
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def validated(self, log: ValidationLog) -> None:
        """Remember the latest validation score, and how long it took."""
        self._validation = _validation_text(log.evaluation)
        self._times.validations.append(self._clock() - self._logged)

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """One line for the finished task."""
        self._validation = ""
        self._times.tests.append(result.eval_seconds)
        scores = result.evaluations if matrix.joint else [result.evaluations[result.task.task_id]]
        metric = _shown_metric(matrix)
        score = _score_text(metric, float(np.mean([each.metrics[metric] for each in scores])))
        shown = f"{_in_words(metric)} {score}"
        mean = _score_text(metric, float(matrix.final(metric).mean()))
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
            self._validation,
            *self._speed(log),
        ]
        return " | ".join(part for part in parts if part)

    def _speed(self, log: TrainingLog) -> list[str]:
        """Time for a step, and time left; nothing in the first entry, most of whose time went into compiling."""
        seconds = self._times.left(log, self._num_tasks)
        if seconds is None:
            return []
        return [f"{1e3 * log.seconds_per_step:.1f} ms/step", f"{_duration(seconds)} left"]


class _Times:
    """How long steps, validations and tests take.

    The usual time of each is the lower median, which the few that are slow because they compile do not change.
    """

    def __init__(self) -> None:
        self._steps: dict[int, list[float]] = {}  # seconds a step, by task
        self._num_steps = 0
        self._last = 0  # steps of the present task
        self.validations: list[float] = []
        self.tests: list[float] = []

    def stepped(self, log: TrainingLog) -> None:
        """Enter a log entry."""
        before = self._last if log.task.task_id in self._steps else 0
        self._num_steps += max(0, log.step - before)
        self._last = log.step
        self._steps.setdefault(log.task.task_id, []).append(log.seconds_per_step)

    def left(self, log: TrainingLog, num_tasks: int) -> float | None:
        """Seconds until the run ends; None after the first entry."""
        if sum(map(len, self._steps.values())) < 2:
            return None
        of_tasks = {task: statistics.median_low(seconds) for task, seconds in self._steps.items()}
        seconds = statistics.mean(of_tasks.values())
        tasks = num_tasks - log.task.task_id - 1
        present = of_tasks[log.task.task_id] if len(self._steps[log.task.task_id]) > 1 else seconds
        in_task, later = log.num_steps - log.step, tasks * log.num_steps
        validation = statistics.median_low(self.validations) if self.validations else 0.0
        validating = validation * len(self.validations) / self._num_steps * (in_task + later)
        test = statistics.median_low(self.tests) if self.tests else num_tasks * validation  # as many as tasks
        return present * in_task + seconds * later + validating + test * (tasks + 1)


def captioned(table: Table, title: str, caption: str) -> Group:
    """A table between a title and a caption, which are as wide as the terminal and not as the table."""
    return Group(Text(title, style="italic"), table, Text(caption, style="dim italic"))


def results_table(matrix: ResultMatrix) -> Group:
    """During and final score of each task, then their means and what was forgotten.

    It is the accuracy, or the metric of outputs without it (`ResultMatrix.headline`); the loss where there is none.
    """
    metric = _shown_metric(matrix)
    table = Table()
    for name in ("task", "during", "final", "change"):
        table.add_column(name, justify="left" if name == "task" else "right")
    decimals = 4 if metric == "loss" else 2
    during, final = matrix.during(metric), matrix.final(metric)

    def add(name: str, during: float, final: float) -> None:
        change = number_text(final - during, "+", decimals)
        table.add_row(name, number_text(during, "", decimals), number_text(final, "", decimals), change)

    for row in zip(matrix.task_names, during, final, strict=False):
        add(*row)
    table.add_section()
    add("mean", float(during.mean()), float(final.mean()))
    if metric == "loss":
        unit = f", {matrix.loss_unit}" if matrix.loss_unit else ""
        return captioned(table, f"test loss{unit}", "during: right after learning the task; final: at the end")
    caption = (
        f"forgetting {number_text(matrix.forgetting(metric))}, "
        f"backward transfer {number_text(matrix.backward_transfer(metric))}, "
        f"worst final {number_text(float(final.min()))}"
    )
    return captioned(table, f"test {_in_words(metric)}, %", caption)


def _shown_metric(matrix: ResultMatrix) -> str:
    """The metric in percent that is shown first, or `loss` where there is none."""
    return matrix.headline if np.isfinite(matrix.scores(matrix.headline)).any() else "loss"


def _score_text(metric: str, score: float) -> str:
    return f"{score:.4g}" if metric == "loss" else "–" if math.isnan(score) else f"{score:.2f} %"


def _validation_text(evaluation: Evaluation) -> str:
    """The first score in percent of a validation, which is the accuracy where there is one; empty without any."""
    shown = [(name, score) for name, score in evaluation.metrics.items() if name != "loss" and not math.isnan(score)]
    if not shown:
        return ""
    name, score = shown[0]
    return f"validation {score:.1f} %" if name == "accuracy" else f"validation {_in_words(name)} {score:.1f} %"


def _in_words(metric: str) -> str:
    return metric.replace("_", " ")


def number_text(value: float, sign: str = "", decimals: int = 2) -> str:
    """A number with some decimals, or a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:{sign}.{decimals}f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
