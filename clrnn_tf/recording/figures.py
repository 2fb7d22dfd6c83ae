"""Figures of a run, where matplotlib is installed (the extra `plots`); None where it is not."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clrnn_tf.metrics import ResultMatrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    """The accuracy matrix as a heat map: rows are tasks learned so far, columns are tasks tested."""
    if not available():
        return None
    from matplotlib.figure import Figure

    scores = np.full((len(matrix.row_names), matrix.num_tasks), np.nan)
    scores[: len(matrix.rows)] = matrix.scores()
    size = max(3.5, 0.42 * matrix.num_tasks)
    figure = Figure(figsize=(size + 1.2, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(scores, vmin=0, vmax=100, cmap="viridis")
    figure.colorbar(image, ax=axes, label="test accuracy, %", shrink=0.8)
    axes.set(
        xlabel="tested on", ylabel="after learning", xticks=range(matrix.num_tasks), yticks=range(len(scores))
    )
    axes.set_xticklabels(matrix.task_names, rotation=90 if matrix.num_tasks > 6 else 0)
    axes.set_yticklabels(matrix.row_names)
    for (row, column), score in np.ndenumerate(scores):
        if not np.isnan(score):
            color = "black" if score > 60 else "white"
            axes.text(column, row, f"{score:.0f}", ha="center", va="center", color=color, fontsize=7)
    return figure


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
        axes.annotate(name, (border, 1.0), xycoords=("data", "axes fraction"), fontsize=7, color="0.4",
                      xytext=(2, -8), textcoords="offset points")  # fmt: skip
    axes.set(xlabel="training step", ylabel=ylabel)
    if log:
        axes.set_yscale("symlog", linthresh=0.01)
        if all(value >= 0 for curve in curves for value in curve.y if not math.isnan(value)):
            axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, loc="best")
    return figure


def svg(figure: Figure) -> str:
    """A figure as an `<svg>` element that can stand in a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
