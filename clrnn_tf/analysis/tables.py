"""The tables of a comparison, without a format: what stands in which cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from clrnn_tf.analysis.comparison import MethodComparison
from clrnn_tf.analysis.scores import LOSS, QUANTITIES, Quantity
from clrnn_tf.analysis.statistics import Difference, Estimate

MEAN = "mean of tasks"
"""Heads the last row of a table by task."""
_COMPARED: tuple[Quantity, ...] = ("final", "forgetting")
"""What has differences in the tables; CSV and JSON have all."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is said, and below it in LaTeX, beside it elsewhere, what says how sure it is."""

    text: str
    below: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.below}".strip()


@dataclass(frozen=True)
class Table:
    """A table without a format."""

    name: str
    """For labels and references."""
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(comparison: MethodComparison) -> list[Table]:
    """Means over tasks; differences, where there are several methods; then task by task."""
    several = len(comparison.groups) > 1
    found = [_overall(comparison), *([_differences(comparison)] if several else [])]
    if several:
        return found + [_by_task(comparison, quantity) for quantity in QUANTITIES]
    return [*found, _tasks_of_one(comparison)]


def _overall(comparison: MethodComparison) -> Table:
    number, level = _number(comparison), f"{100 * comparison.level:g} %"
    rows = [
        (
            Cell(group.label),
            Cell(str(len(group.seeds))),
            *(_cell(comparison.score(group.label, quantity), number) for quantity in QUANTITIES),
        )
        for group in comparison.groups
    ]
    caption = (
        f"{_metric(comparison)}, mean of {len(comparison.tasks)} tasks right after learning each (during) and at the "
        f"end (final), and what was forgotten: mean over seeds ± its standard error, and the {level} interval of the "
        "mean (Student's t)."
    )
    return Table("overall", caption, ("method", "seeds", *QUANTITIES), tuple(rows))


def _differences(comparison: MethodComparison) -> Table:
    number = _number(comparison, sign="+")
    rows = []
    for group in comparison.groups:
        if group.label == comparison.against:
            continue
        found = [comparison.difference(group.label, quantity) for quantity in _COMPARED]
        cells = [part for each in found for part in (_cell(each.estimate, number), Cell(_p_value(each)))]
        rows.append((Cell(group.label), Cell(str(len(found[0].seeds))), *cells))
    caption = (
        f"{_metric(comparison)}: differences from {comparison.against} over the same seeds, mean ± standard error, "
        f"{100 * comparison.level:g} % interval, and the p-value of the paired t-test, not corrected for the number of "
        "tests."
    )
    heads = (f"method minus {comparison.against}", "seeds", *(part for name in _COMPARED for part in (name, "p")))
    return Table("differences", caption, heads, tuple(rows))


def _by_task(comparison: MethodComparison, quantity: Quantity) -> Table:
    """A row for each task, a column for each method."""
    number, labels = _number(comparison), [group.label for group in comparison.groups]
    tasks = comparison.tasks[:-1] if quantity == "forgetting" and len(comparison.tasks) > 1 else comparison.tasks
    rows = []
    for task in (*tasks, None):
        found = [comparison.score(label, quantity, task) for label in labels]
        rows.append((Cell(task or MEAN), *(Cell(_with_error(each, number)) for each in found)))
    when = {
        "during": "right after learning the task",
        "final": "after the last task",
        "forgetting": "forgotten since the best score",
    }
    caption = f"{_metric(comparison)}, {when[quantity]}: mean over seeds ± its standard error."
    return Table(quantity, caption, ("task", *labels), tuple(rows))


def _tasks_of_one(comparison: MethodComparison) -> Table:
    """A row for each task of the only method."""
    number, label = _number(comparison), comparison.groups[0].label
    rows = [
        (Cell(task), *(_cell(comparison.score(label, quantity, task), number) for quantity in QUANTITIES))
        for task in comparison.tasks
    ]
    caption = f"{_metric(comparison)} of {label}, task by task."
    return Table("tasks", caption, ("task", *QUANTITIES), tuple(rows))


def _metric(comparison: MethodComparison) -> str:
    name = comparison.metric.replace("_", " ").replace("f1", "F1")
    return f"Test {name}, {comparison.unit}" if comparison.unit else f"Test {name}"


def _number(comparison: MethodComparison, sign: str = "") -> Callable[[float], str]:
    """How numbers are written: with a true minus sign, and a dash for what is not defined."""
    decimals = 4 if comparison.metric == LOSS else 2

    def written(value: float) -> str:
        if math.isnan(value):
            return "–"
        text = f"{value:{sign}.{decimals}f}"
        return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"

    return written


def _cell(found: Estimate, number: Callable[[float], str]) -> Cell:
    interval = "" if math.isnan(found.low) else f"[{number(found.low)}, {number(found.high)}]"
    return Cell(_with_error(found, number), interval)


def _with_error(found: Estimate, number: Callable[[float], str]) -> str:
    return number(found.mean) if math.isnan(found.sem) else f"{number(found.mean)} ± {number(found.sem).lstrip('+')}"


def _p_value(found: Difference) -> str:
    if math.isnan(found.p_value):
        return "–"
    return "< 0.0001" if found.p_value < 1e-4 else f"{found.p_value:.4f}"
