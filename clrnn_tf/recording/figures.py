"""Figures of a run, where matplotlib is installed; None where it is not."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clrnn_tf.metrics import ResultMatrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# After Okabe and Ito, for the colour-blind; changed a little to be readable on a white and on a black page.
_COLORS = ("#D55E00", "#0080C8", "#009E73", "#CC79A7", "#B58900", "#808080")
_MARKERS = "osD^vP"
_PLACES = {"fine_tuning": 0, "hnet": 1, "from_scratch": 2}
"""Methods that have a colour and a marker of their own, the same in all figures: their place above."""
_MOST_NAMED = 20  # tasks of a matrix
_GREY = "#7a7a7a"  # readable on white and on black


class Curve(NamedTuple):
    """One line of a figure."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False


def available() -> bool:
    """Whether matplotlib can be used."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def matrix_figure(matrix: ResultMatrix) -> Figure | None:
    """The matrix of the headline metric as a heat map: rows are tasks learned so far, columns are tasks tested.

    It grows up to 20 tasks. Of more tasks, some are named, and cells hold no numbers.
    """
    if not available():
        return None
    from matplotlib.figure import Figure

    scores = np.full((len(matrix.row_names), matrix.num_tasks), np.nan)
    scores[: len(matrix.rows)] = matrix.scores(matrix.headline)
    size = min(max(3.5, 0.42 * matrix.num_tasks), 0.42 * _MOST_NAMED)
    figure = Figure(figsize=(size + 1.2, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(scores, vmin=0, vmax=100, cmap="viridis")
    figure.colorbar(image, ax=axes, label=f"test {matrix.headline.replace('_', ' ')}, %", shrink=0.8)
    every = -(-matrix.num_tasks // _MOST_NAMED)
    axes.set(xlabel="tested on", ylabel="after learning")
    axes.set_xticks(
        range(0, matrix.num_tasks, every), matrix.task_names[::every], rotation=90 if matrix.num_tasks > 6 else 0
    )
    axes.set_yticks(range(0, len(scores), every), matrix.row_names[::every])
    if every > 1:
        return figure
    for (row, column), score in np.ndenumerate(scores):
        if not np.isnan(score):
            color = "black" if score > 60 else "white"
            axes.text(column, row, f"{score:.0f}", ha="center", va="center", color=color, fontsize=7)
    return figure


def accuracy_over_tasks(runs: Mapping[str, ResultMatrix], methods: Mapping[str, str] | None = None) -> Figure | None:
    """Mean test accuracy on the tasks learned so far, in percent, after each task, for runs of one task stream.

    After n tasks the value of a run is mean_{j<n} R[n-1, j]. A run that learned all tasks jointly has one such number,
    which is drawn as a dashed line. The name and the last value of a run stand beside its line. The background is
    transparent and the colours are readable on a light and on a dark page, also for the colour-blind.

    Args:
      runs: Results by the name to show. Tasks are those of the first run.
      methods: The method of each run, by the same names: a method has the same colour in all figures, whatever stands
        beside it. Runs without one get the colours that are left, in their order.
    """
    if not available():
        return None
    from matplotlib.figure import Figure

    names = next(iter(runs.values())).task_names
    figure = Figure(figsize=(8.4, 4.2), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    ends = {}
    for (label, matrix), place in zip(
        runs.items(), places([(methods or {}).get(label) for label in runs]), strict=True
    ):
        means = accuracy_so_far(matrix)
        color = _COLORS[place % len(_COLORS)]
        if matrix.joint:
            axes.axhline(means[-1], color=color, linewidth=1.6, linestyle="--")
        else:
            axes.plot(
                range(1, len(means) + 1),
                means,
                color=color,
                linewidth=2.2,
                markersize=6,
                marker=_MARKERS[place % len(_MARKERS)],
                clip_on=False,
            )
        ends[label] = (float(means[-1]), color)
    axes.set_xlim(0.8, len(names) + 0.1)
    axes.set_xticks(range(1, len(names) + 1), names, rotation=90 if max(map(len, names)) * len(names) > 80 else 0)
    axes.set_xlabel("tasks learned, one after another", color=_GREY)
    axes.set_title("mean test accuracy on the tasks learned so far, %", loc="left", color=_GREY, fontsize=11)
    axes.tick_params(colors=_GREY)
    axes.grid(axis="y", color=_GREY, alpha=0.25, linewidth=0.7)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GREY)
    _write_at_the_ends(axes, ends)
    return figure


def places(methods: Sequence[str | None]) -> list[int]:
    """Places of runs in the list of colours: fixed for some methods, else the first that is free.

    Example:
      >>> places(["hnet", "si", "hnet"])
      [1, 0, 2]
    """
    taken = {_PLACES[method]: number for number, method in reversed(list(enumerate(methods))) if method in _PLACES}
    of_runs = {number: place for place, number in taken.items()}
    free = (place for place in itertools.count() if place not in taken)
    return [of_runs[number] if number in of_runs else next(free) for number in range(len(methods))]


def accuracy_so_far(matrix: ResultMatrix) -> np.ndarray:
    """Mean accuracy on the tasks learned so far, [rows], after each row of a matrix; in percent."""
    if matrix.joint:
        return matrix.scores().mean(axis=1)
    return np.array([row[: number + 1].mean() for number, row in enumerate(matrix.scores())])


def _write_at_the_ends(axes: Axes, ends: Mapping[str, tuple[float, str]]) -> None:
    """Name and last value of each line, to the right of the axes and moved where they would overlap."""
    bottom, top = axes.get_ylim()
    order = sorted(ends, key=lambda label: ends[label][0])
    heights = spread([ends[label][0] for label in order], gap=(top - bottom) / 15)
    for label, height in zip(order, heights, strict=True):
        value, color = ends[label]
        axes.annotate(
            f"{label}  {value:.1f}",
            (1.02, height),
            xycoords=("axes fraction", "data"),
            color=color,
            va="center",
            fontsize=11,
            fontweight="bold",
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending positions, moved so that neighbours are at least `gap` from one another; their mean is kept."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    shift = (sum(places) - sum(moved)) / max(len(places), 1)
    return [place + shift for place in moved]


def matrix_image(matrix: ResultMatrix) -> np.ndarray | None:
    """`matrix_figure` as pixels [height, width, 4] uint8."""
    figure = matrix_figure(matrix)
    if figure is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def curves_figure(
    curves: Sequence[Curve], ylabel: str, borders: Sequence[float], names: Sequence[str], log: bool = False
) -> Figure | None:
    """Lines over the steps of all tasks, with a mark where each task begins.

    Args:
      curves: The lines.
      ylabel: Label of the vertical axis, with its unit.
      borders: Step at which each task begins.
      names: Names of the tasks.
      log: Whether the vertical axis is logarithmic, and linear below 0.01.
    """
    if not available():
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        style = {"marker": ".", "linestyle": "none"} if curve.dots else {"linewidth": 1.1}
        axes.plot(curve.x, curve.y, label=curve.label, **style)
    for border, name in zip(borders, names, strict=True):
        axes.axvline(border, color="0.8", linewidth=0.7, zorder=0)
        axes.annotate(
            name,
            (border, 1.0),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color="0.4",
            xytext=(2, -8),
            textcoords="offset points",
        )
    axes.set(xlabel="training step", ylabel=ylabel)
    if log:
        axes.set_yscale("symlog", linthresh=0.01)
        if all(value >= 0 for curve in curves for value in curve.y if not math.isnan(value)):
            axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, loc="best")
    return figure


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """A figure as an `<svg>` element that can stand in a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
