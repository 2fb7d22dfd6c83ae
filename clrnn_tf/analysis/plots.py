"""Figures of several methods with several seeds: mean over seeds, and a band that is its interval (Student's t)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from clrnn_tf.analysis.comparison import MethodComparison
from clrnn_tf.analysis.curves import Curves, over_training
from clrnn_tf.analysis.scores import LOSS, so_far
from clrnn_tf.analysis.statistics import estimate
from clrnn_tf.analysis.style import SETTINGS, WIDTH, Look, looks
from clrnn_tf.pictures import letters_of, short_names, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAND = 0.18  # opacity
_MOST_NUMBERED = 10  # tasks of a matrix whose cells hold numbers
_MOST_PANELS = 4  # in a row
_LONGEST_NAME = 20  # letters of a task


def accuracy(comparison: MethodComparison, width: float = WIDTH) -> Figure:
    """Mean score on the tasks learned so far, after each task.

    A method that learns all tasks jointly has one such score, which is drawn over the whole width.
    """
    figure, axes = _figure(width)
    count = len(comparison.tasks)
    for group, look in _drawn(comparison):
        rows = np.stack([so_far(matrix, comparison.metric) for matrix in group.matrices])
        if rows.shape[1] == 1:
            _line(axes, np.array([1, max(count, 2)]), np.repeat(rows, 2, axis=1), look, group.label, comparison, "")
        else:
            _line(axes, np.arange(1, count + 1), rows, look, group.label, comparison, look.marker)
    axes.set_xlim(0.8, max(count, 2) + 0.2)
    _name_tasks(axes, range(1, count + 1), comparison.tasks, width)
    axes.set(xlabel="tasks learned, in their order", ylabel=f"{_metric(comparison)},\nmean of tasks so far")
    return _finished(figure, axes, comparison)


def forgetting(comparison: MethodComparison, width: float = WIDTH) -> Figure:
    """What is forgotten of each task, beside each other for the methods, with intervals; the last task has nothing."""
    figure, axes = _figure(width)
    tasks = comparison.tasks[:-1] or comparison.tasks
    groups = [(group, look) for group, look in _drawn(comparison) if not group.matrices[0].joint]
    apart = 0.7 / max(len(groups), 2)
    axes.axhline(0.0, color="0.3", linewidth=0.6)
    for place, (group, look) in enumerate(groups):
        found = [comparison.score(group.label, "forgetting", task) for task in tasks]
        means = np.array([each.mean for each in found])
        reach = np.array([0.0 if math.isnan(each.high) else each.high - each.mean for each in found])
        where = np.arange(len(tasks)) + (place - (len(groups) - 1) / 2) * apart
        axes.errorbar(
            where,
            means,
            reach,
            color=look.color,
            marker=look.marker,
            linestyle="none",
            markersize=3,
            elinewidth=0.8,
            capsize=2.4,
            capthick=0.8,
            label=group.label,
        )
    axes.set_xlim(-0.6, len(tasks) - 0.4)
    _name_tasks(axes, range(len(tasks)), tasks, width)
    unit = "" if comparison.metric == LOSS else "points of "
    metric = _metric(comparison, unit=None if comparison.metric == LOSS else "")
    axes.set(xlabel="task, in the order of learning", ylabel=f"forgetting,\n{unit}{metric}")
    return _finished(figure, axes, comparison)


def matrix(comparison: MethodComparison, width: float = WIDTH) -> Figure:
    """For each method, the mean over seeds of every task's score after each task; one scale for all.

    A method that learns all tasks jointly has the last row only.
    """
    groups, tasks = comparison.groups, comparison.tasks
    means = [np.full((len(tasks), len(tasks)), np.nan) for _ in groups]
    for mean, group in zip(means, groups, strict=True):
        rows_of_runs = np.stack([run.scores(comparison.metric) for run in group.matrices])
        mean[-rows_of_runs.shape[1] :] = rows_of_runs.mean(axis=0)
    low, high = min(map(np.nanmin, means)), max(map(np.nanmax, means))
    rows = -(-len(groups) // _MOST_PANELS)
    columns = -(-len(groups) // rows)
    side = (width - 1.25) / max(columns, 2)
    names = short_names(tasks, _LONGEST_NAME)
    names_height = 0.08 * max(map(letters_of, names)) if _are_crowded(names, side) else 0.12  # inches
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, rows * (side + names_height + 0.45)), layout="compressed")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for place, (panel, group, scores) in enumerate(zip(panels, groups, means, strict=False)):
            panel.imshow(scores, vmin=low, vmax=high, cmap="viridis")
            panel.set_title(shortened(group.label, int(14 * side)))
            panel.spines[:].set_visible(False)
            panel.tick_params(length=0)
            is_left = place % columns == 0
            _name_cells(panel, names if is_left else [""] * len(names), names, side)
            panel.set(xlabel="tested on", ylabel="after learning" if is_left else "")
            if comparison.metric != LOSS and len(tasks) <= _MOST_NUMBERED:
                _write_numbers(panel, scores, low, high, side)
        for panel in panels[len(groups) :]:
            panel.set_visible(False)
        figure.colorbar(panels[0].images[0], ax=list(panels), label=_metric(comparison), pad=0.02, aspect=20 * rows)
    return figure


def curves(comparison: MethodComparison, logs: Sequence[Sequence[Curves]], name: str, width: float = WIDTH) -> Figure:
    """Scores of the task that is being learned, over training.

    Args:
      comparison: The methods.
      logs: The curves of each run of each method, in the order of `comparison.groups` and their seeds.
      name: What the curves show, for the axis.
      width: Inches.
    """
    figure, axes = _figure(width)
    positions = over_training(logs)
    for (group, look), of_group in zip(_drawn(comparison), positions.groups, strict=True):
        for number, (where, values) in enumerate(of_group):
            _line(axes, where, values, look, group.label if number == 0 else "_", comparison, "")
    for border in positions.borders[1:]:
        axes.axvline(border, color="0.8", linewidth=0.6, zorder=0)
    middles = [border + positions.span / 2 for border in positions.borders]
    most = int(14 * width / max(len(comparison.tasks), 1))
    for middle, task in zip(middles, short_names(comparison.tasks, most), strict=False):
        if len(comparison.tasks) <= 2 * _MOST_NUMBERED:
            axes.annotate(
                task,
                (middle, 1.0),
                (0, 2),
                ("data", "axes fraction"),
                "offset points",
                ha="center",
                color="0.3",
                size=7,
            )
    axes.set_xlim(0, positions.borders[-1] + positions.span)
    axes.set(xlabel=positions.label, ylabel=name)
    return _finished(figure, axes, comparison)


FIGURES: dict[str, Callable[..., Figure]] = {"accuracy": accuracy, "forgetting": forgetting, "matrix": matrix}
"""What can be drawn of results alone, by name; `curves` needs the logs as well."""


def _figure(width: float) -> tuple[Figure, Axes]:
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, max(0.46 * width, 2.1)), layout="constrained")
        return figure, figure.subplots()


def _drawn(comparison: MethodComparison) -> list[tuple]:
    """Groups, each with its look."""
    return list(zip(comparison.groups, looks([group.method for group in comparison.groups]), strict=True))


def _line(
    axes: Axes, where: np.ndarray, rows: np.ndarray, look: Look, label: str, comparison: MethodComparison, marker: str
) -> None:
    """The mean of rows [seeds, points], and a band that is its interval."""
    found = [estimate(column, comparison.level) for column in rows.T]
    axes.plot(where, [each.mean for each in found], color=look.color, linestyle=look.dash, marker=marker, label=label)
    low, high = (np.array([getattr(each, end) for each in found]) for end in ("low", "high"))
    axes.fill_between(where, low, high, color=look.color, alpha=_BAND, linewidth=0)


def _finished(figure: Figure, axes: Axes, comparison: MethodComparison) -> Figure:
    """One legend above the axes, where there is something to tell apart; a grid."""
    with rc_context(SETTINGS):
        axes.grid(axis="y")
        axes.locator_params(axis="y", nbins=6)
        if len(comparison.groups) > 1:
            handles, labels = axes.get_legend_handles_labels()
            labels = short_names(labels, int(12 * figure.get_figwidth()))
            columns = _columns(labels, figure.get_figwidth())
            figure.legend(handles, labels, loc="outside upper center", ncols=columns, handlelength=2.6)
    return figure


def _columns(labels: Sequence[str], width: float) -> int:
    """As many columns of a legend as fit beside each other."""
    letters, handle = 17 * width, 10  # letters in a row, and those that a line and the space around it take up
    for columns in range(len(labels), 1, -1):
        widths = [max(map(letters_of, labels[column::columns])) + handle for column in range(columns)]
        if sum(widths) <= letters:
            return columns
    return 1


def _metric(comparison: MethodComparison, unit: str | None = None) -> str:
    name = comparison.metric.replace("_", " ").replace("f1", "F1")
    unit = comparison.unit if unit is None else unit
    return f"test {name}, {unit}" if unit else f"test {name}"


def _name_tasks(axes: Axes, where: Sequence[int], names: Sequence[str], width: float) -> None:
    """Names of tasks, upright where they would touch."""
    names = short_names(names, _LONGEST_NAME)
    with rc_context(SETTINGS):
        axes.set_xticks(list(where), names, rotation=90 if _are_crowded(names, width) else 0)


def _are_crowded(names: Sequence[str], width: float) -> bool:
    """Whether names side by side would touch on so many inches."""
    return max(map(letters_of, names)) * len(names) > 14 * width


def _name_cells(panel: Axes, rows: Sequence[str], columns: Sequence[str], side: float) -> None:
    """Names of the tasks of a matrix; of many, some."""
    every = -(-len(columns) // max(1, int(side * 10)))
    panel.set_xticks(range(0, len(columns), every), columns[::every], rotation=90 if _are_crowded(columns, side) else 0)
    panel.set_yticks(range(0, len(rows), every), rows[::every])


def _write_numbers(panel: Axes, scores: np.ndarray, low: float, high: float, side: float) -> None:
    for (row, column), score in np.ndenumerate(scores):
        if not np.isnan(score):
            bright = score > low + 0.6 * (high - low)
            size = min(7.0, 34.0 * side / scores.shape[1] / 2)
            panel.text(
                column, row, f"{score:.0f}", ha="center", va="center", size=size, color="black" if bright else "white"
            )
