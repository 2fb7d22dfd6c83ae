"""Matrices of percentages as heat maps, where matplotlib is installed; None where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.pictures import letters_of, short_names
from clrnn_tf.recording import figures
from clrnn_tf.recording.svg import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERED = 20  # rows of a matrix whose cells hold numbers
_SCALE = 92.0  # points for the scale of colours and its name
_SMALLEST_CELL = 21.0  # points, in which a number can be read
_DARK = 0.62  # share of the colour scale below which text is white


class HeatMap(NamedTuple):
    """What is drawn: percentages, with the names of their rows and columns."""

    values: np.ndarray
    """[rows, columns]; nan where there is none."""
    row_names: Sequence[str]
    column_names: Sequence[str]
    row_label: str
    column_label: str
    value_label: str
    pale: np.ndarray | None = None
    """[rows, columns] of bool: numbers that are written without a colour, and do not count in its scale."""


def matrix_figure(matrix: ResultMatrix, width: float = 605) -> Figure | None:
    """The matrix of the headline metric: rows are tasks learned so far, columns are tasks tested.

    The scale of colours covers the scores of tasks that have been learned. Scores before are written in grey. Of more
    than 20 tasks, some are named, and cells hold no numbers.
    """
    return heat_map_figure(heat_map_of([matrix]), width)


def heat_map_of(matrices: Sequence[ResultMatrix]) -> HeatMap:
    """The mean of the matrices of several seeds, as far as the shortest of them goes."""
    first, rows = matrices[0], min(len(matrix.rows) for matrix in matrices)
    scores = np.full((len(first.row_names), first.num_tasks), np.nan)
    scores[:rows] = np.mean([matrix.scores(matrix.headline)[:rows] for matrix in matrices], axis=0)
    not_yet = np.zeros(scores.shape, bool) if first.joint else ~np.tri(*scores.shape, dtype=bool)
    label = f"test {first.headline.replace('_', ' ')}, %"
    return HeatMap(scores, first.row_names, first.task_names, "after learning", "tested on", label, not_yet)


def heat_map_figure(heat_map: HeatMap, width: float = 605, scale: tuple[float, float] | None = None) -> Figure | None:
    """A heat map with a scale of colours over the values that occur.

    Args:
      heat_map: What is drawn.
      scale: Lowest and highest colour; by default of the values that occur.
      width: In points. Cells are smaller where there are few, and hold no number where it could not be read. Names are
        shortened to what leaves room for them.
    """
    if not figures.available():
        return None
    most = min(figures.LONGEST_NAME, int(width / 25))
    rows, columns = heat_map.values.shape
    heat_map = heat_map._replace(
        row_names=short_names(heat_map.row_names, most), column_names=short_names(heat_map.column_names, most)
    )
    beside = 7.5 * max(map(letters_of, heat_map.row_names)) + 34
    cell = min((width - beside - _SCALE) / columns, 46.0 if columns <= 10 else 34.0)
    above = 44 + (7.5 * max(map(letters_of, heat_map.column_names)) if _turned(heat_map, cell) else 14)
    tall = max(cell * rows, 110.0)
    figure, axes = figures.figure_with_axes(
        cell * columns + beside + _SCALE, tall + above + 8, figures.Margins(beside, above, _SCALE, 8)
    )
    low, high = scale or color_scale([heat_map])
    colored = np.ma.masked_invalid(np.where(_pale(heat_map), np.nan, heat_map.values))
    image = axes.imshow(colored, vmin=low, vmax=high, cmap="viridis", interpolation="none", aspect="auto")
    box, (size, _) = axes.get_position(), 72 * figure.get_size_inches()
    beside_it = figure.add_axes((box.x1 + 14 / size, box.y0 + 0.1 * box.height, 12 / size, 0.8 * box.height))
    bar = figure.colorbar(image, cax=beside_it)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    bar.outline.set_visible(False)
    bar.set_label(heat_map.value_label, color=GREY, fontsize=11)
    bar.ax.tick_params(colors=GREY, labelsize=10.5)
    _name(axes, heat_map, cell)
    if rows <= _MOST_NUMBERED and columns <= _MOST_NUMBERED and cell >= _SMALLEST_CELL:
        _write_numbers(axes, heat_map, (low, high))
    return figure


def color_scale(heat_maps: Sequence[HeatMap]) -> tuple[float, float]:
    """Lowest and highest of the values that have a colour, at least a point apart."""
    values = np.concatenate([heat_map.values[~_pale(heat_map)] for heat_map in heat_maps])
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 100.0)
    return (low, high) if high - low >= 1.0 else (low - 0.5, high + 0.5)


def _pale(heat_map: HeatMap) -> np.ndarray:
    return np.zeros(heat_map.values.shape, bool) if heat_map.pale is None else heat_map.pale


def _turned(heat_map: HeatMap, cell: float) -> bool:
    """Whether the names of columns are turned."""
    return 7.5 * (max(map(letters_of, heat_map.column_names)) + 1) > cell


def _name(axes: Axes, heat_map: HeatMap, cell: float) -> None:
    """Names of rows and columns, all or some, and of what they are."""
    every = max(1, round(12 / cell + 0.4))
    row_height = max(cell, 110 / len(heat_map.row_names))
    every_row = max(1, round(12 / row_height + 0.4))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xticks(
        range(0, len(heat_map.column_names), every),
        heat_map.column_names[::every],
        rotation=90 if _turned(heat_map, cell) else 0,
    )
    axes.set_yticks(range(0, len(heat_map.row_names), every_row), heat_map.row_names[::every_row])
    axes.set_xlabel(heat_map.column_label, color=GREY, fontsize=12, labelpad=8)
    axes.set_ylabel(heat_map.row_label, color=GREY, fontsize=12, labelpad=8)
    axes.tick_params(colors=GREY, labelsize=10.5, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_numbers(axes: Axes, heat_map: HeatMap, scale: tuple[float, float]) -> None:
    pale = _pale(heat_map)
    for (row, column), value in np.ndenumerate(heat_map.values):
        if not np.isnan(value):
            dark = (value - scale[0]) / (scale[1] - scale[0]) < _DARK
            color = GREY if pale[row, column] else "white" if dark else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=color, fontsize=10.5)


def matrix_image(matrix: ResultMatrix) -> np.ndarray | None:
    """`matrix_figure` as pixels [height, width, 4] uint8, on white."""
    figure = matrix_figure(matrix)
    if figure is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_facecolor("white")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())
