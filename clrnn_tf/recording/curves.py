"""Curves of training over the steps of all tasks, where matplotlib is installed; None where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from clrnn_tf.pictures import letters_of, short_names
from clrnn_tf.recording import figures
from clrnn_tf.recording.svg import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES = ("-", "--", ":", "-.")
_SMALLEST = 1e-5  # loss that is drawn


class Curve(NamedTuple):
    """One curve, in pieces: one for each task, which are not joined."""

    label: str
    pieces: Sequence[tuple[Sequence[float], Sequence[float]]]
    """Steps and values."""
    dots: bool = False
    """Whether it is drawn as dots."""


class Borders(NamedTuple):
    """Where tasks begin."""

    steps: Sequence[float]
    names: Sequence[str]


def curves_figure(
    curves: Sequence[Curve], title: str, borders: Borders, log: bool = False, width: float = 605
) -> Figure | None:
    """Curves over the steps of all tasks, with a mark where each task begins.

    Args:
      curves: What is drawn.
      title: What the vertical axis shows, with its unit.
      borders: Where tasks begin.
      log: Whether the vertical axis is logarithmic.
      width: In points.
    """
    if not figures.available():
        return None
    from matplotlib.ticker import MaxNLocator

    figure, axes = figures.figure_with_axes(width, 240, figures.Margins(46, 46, 10, 66))
    curves = [curve for curve in curves if any(not math.isnan(value) for _, y in curve.pieces for value in y)]
    styles = figures.styles_of({curve.label: () for curve in curves})
    for number, (curve, style) in enumerate(zip(curves, styles, strict=True)):
        dashes = "none" if curve.dots else _LINES[number % len(_LINES)]
        for place, (x, y) in enumerate(curve.pieces):
            axes.plot(
                x,
                y,
                color=style.color,
                label=curve.label if place == 0 else None,
                linewidth=1.1,
                linestyle=dashes,
                marker="D" if curve.dots else "." if len(x) == 1 else "",
                markersize=4,
                markerfacecolor="none" if curve.dots else style.color,
            )
    for step in borders.steps:
        axes.axvline(step, color=GREY, alpha=0.35, linewidth=0.7, zorder=0)
    names = short_names(borders.names, min(figures.LONGEST_NAME, int(width / 30)))
    every = max(1, math.ceil((8 * max(map(letters_of, names), default=0) + 8) * len(names) / (0.9 * width)))
    for step, name in list(zip(borders.steps, names, strict=True))[::every]:
        axes.annotate(
            name,
            (step, 1.0),
            xycoords=("data", "axes fraction"),
            fontsize=11,
            color=GREY,
            xytext=(2, 3),
            textcoords="offset points",
        )
    axes.set_xlabel("training step", color=GREY, fontsize=12)
    axes.set_title(title, loc="left", color=GREY, fontsize=13, y=1.0, pad=20)
    axes.xaxis.set_major_locator(MaxNLocator(8 if width > 500 else 4, integer=True))
    axes.margins(x=0.01)
    if log:
        _set_log_scale(axes, [value for curve in curves for _, y in curve.pieces for value in y])
    figures.plain(axes)
    if len(curves) > 1:
        figure.legend(loc="lower center", ncols=len(curves), fontsize=12, frameon=False, labelcolor=GREY)
    return figure


def _set_log_scale(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis over the positive values, without those that are 0 within rounding; linear around 0 else."""
    if any(value < 0 for value in values):
        axes.set_yscale("symlog", linthresh=0.01)
        return
    from matplotlib.ticker import LogFormatterSciNotation

    class Between(LogFormatterSciNotation):
        """Labels between powers of ten, where there are any, as 0.2: there is no room for 2 x 10^-1."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:.3g}" if super().__call__(x, pos) else ""

    positive = [value for value in values if value > _SMALLEST]
    if positive:
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_minor_formatter(Between(labelOnlyBase=False))
        axes.set_ylim(bottom=0.7 * min(positive))
