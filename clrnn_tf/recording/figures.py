"""Accuracies over the tasks learned, as figures, where matplotlib is installed; None where it is not."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clrnn_tf.analysis.places import places
from clrnn_tf.analysis.scores import so_far
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.pictures import letters_of, short_names, shortened
from clrnn_tf.recording.svg import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# After Okabe and Ito, for the colour-blind; changed a little to be readable on a white and on a black page.
_COLORS = ("#D55E00", "#0080C8", "#009E73", "#CC79A7", "#B58900", "#808080")
_MARKERS = "osD^vP"
_DASHES = ((6, 2), (), (2, 2), (6, 2, 1, 2), (10, 3), (1, 1))  # points of ink and of paper; () is a solid line
_POINTS = 72.0  # an inch; a point is a pixel of a page
_MOST_MARKED = 30  # points of a line that have a marker
_SMALLEST_RANGE = 5.0  # points of accuracy that an axis shows, so that noise does not look like forgetting
LONGEST_NAME = 24
"""Letters of a name below or beside axes; longer ones are shortened."""
_LONGEST_UPRIGHT = 12  # letters of a name, half of which fits beside the axes
_SMALLEST_PLOT = 40.0  # points of a plot that are left by its margins
MOST_PANELS = 20
"""Tasks of `task_panels`."""

Runs = Mapping[str, ResultMatrix | Sequence[ResultMatrix]]
"""Results by the name to show: one matrix, or those of several seeds."""


class LineStyle(NamedTuple):
    """How a line looks. Styles differ by colour, and by marker and dashes for those who see no colour."""

    color: str
    marker: str
    dashes: tuple[float, ...]


class Margins(NamedTuple):
    """Space around axes, in points."""

    left: float
    top: float
    right: float
    bottom: float


def figure_with_axes(width: float, height: float, margins: Margins) -> tuple[Figure, Axes]:
    """A figure of one plot, in points. Its margins are given: to have them measured would take as long as to draw.

    It becomes larger where the margins leave less than 40 points of it.
    """
    from matplotlib.figure import Figure

    width = max(width, margins.left + margins.right + _SMALLEST_PLOT)
    height = max(height, margins.top + margins.bottom + _SMALLEST_PLOT)

    figure = Figure(figsize=(width / _POINTS, height / _POINTS), facecolor="none")
    left, bottom = margins.left / width, margins.bottom / height
    inner = 1 - left - margins.right / width, 1 - bottom - margins.top / height
    return figure, figure.add_axes((left, bottom, *inner))


def available() -> bool:
    """Whether matplotlib can be used."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def accuracy_over_tasks(
    runs: Runs, methods: Mapping[str, str] | None = None, width: float = 605, named: bool = True
) -> Figure | None:
    """Mean test accuracy on the tasks learned so far, in percent, after each task, for runs of one task stream.

    After n tasks the value of a run is mean_{j<n} R[n-1, j]. A run that learned all tasks jointly has one such number,
    which is drawn as a dashed line. Of several seeds, the mean is drawn over a band from the lowest to the highest. The
    last value of a run stands beside its line, with its name if `named`. The background is transparent and the colours
    are readable on a light and on a dark page, also for the colour-blind.

    Args:
      runs: Results by the name to show. Tasks are those of the first run.
      methods: The method of each run, by the same names: a method has the same style in all figures, whatever stands
        beside it. Runs without one get the styles that are left, in their order.
      width: In points.
      named: Whether names stand beside the lines.
    """
    if not available():
        return None
    first = _seeds(next(iter(runs.values())))[0]
    names = short_names(first.task_names, LONGEST_NAME)
    labels = short_names(list(runs), int(width / 24))
    beside = 9 * max(map(letters_of, labels)) + 60 if named else 48
    turned = are_turned(names, width - beside - 40)
    below = 40 + (7 * max(map(letters_of, names)) if turned else 14)
    height = max(width / 2.4, below + 196)
    figure, axes = figure_with_axes(width, height, Margins(36, 26, beside, below))
    ends = {}
    for label, run, style in zip(labels, runs.values(), styles_of(runs, methods), strict=True):
        low, mean, high = _band([accuracy_so_far(matrix) for matrix in _seeds(run)])
        if _seeds(run)[0].joint:
            axes.axhline(mean[-1], color=style.color, linewidth=1.6, linestyle="--")
        else:
            _draw_line(axes, range(1, len(mean) + 1), mean, style)
            if len(_seeds(run)) > 1:
                axes.fill_between(range(1, len(mean) + 1), low, high, color=style.color, alpha=0.18, linewidth=0)
        ends[label] = (float(mean[-1]), style.color)
    axes.set_xlim(0.8, len(names) + 0.1)
    name_tasks(axes, range(1, len(names) + 1), names, width - beside - 40)
    axes.set_xlabel("tasks learned, one after another", color=GREY, fontsize=12)
    title = f"mean test {first.headline.replace('_', ' ')}" + (" on the tasks learned so far" if width > 500 else "")
    axes.set_title(f"{title}, %", loc="left", color=GREY, fontsize=13, y=1.0)
    plain(axes)
    _show_at_least(axes, _SMALLEST_RANGE)
    _write_at_the_ends(axes, ends, named)
    return figure


def task_panels(runs: Runs, methods: Mapping[str, str] | None = None, width: float = 605) -> Figure | None:
    """Test accuracy of each task after each task from its own on, in percent: a panel for each task, all on one scale.

    Of more than 20 tasks, 20 are drawn, evenly spaced. The arguments are those of `accuracy_over_tasks`.
    """
    if not available():
        return None
    from matplotlib.figure import Figure

    first = _seeds(next(iter(runs.values())))[0]
    tasks = spaced(first.num_tasks, MOST_PANELS)
    columns = min(len(tasks), 5 if width > 500 else 3)
    rows = -(-len(tasks) // columns)
    height = 104 * rows + 34
    figure = Figure(figsize=(width / _POINTS, height / _POINTS), facecolor="none")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(32 / width, 36 / height, 1 - 10 / width, 1 - 20 / height, wspace=0.08, hspace=0.32)
    for axes, task in itertools.zip_longest(grid.flat, tasks):
        if task is None:
            axes.set_visible(False)
            continue
        for run, style in zip(runs.values(), styles_of(runs, methods), strict=True):
            _draw_task(axes, _seeds(run), task, style)
        name = shortened(first.task_names[task], int(width / columns / 7) - 4)
        axes.set_title(f"{task + 1}  {name}", loc="left", fontsize=11, color=GREY, y=1.0, pad=3)
        axes.set_xlim(0.5, first.num_tasks + 0.5)
        axes.set_xticks([1, first.num_tasks])
        for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            label.set_horizontalalignment(side)  # so that labels of neighbours do not meet
        plain(axes, size=10)
    _show_at_least(grid[0, 0], _SMALLEST_RANGE)
    figure.supxlabel("tasks learned", color=GREY, fontsize=11)
    return figure


def _draw_task(axes: Axes, seeds: Sequence[ResultMatrix], task: int, style: LineStyle) -> None:
    """The line of one task in its panel."""
    if seeds[0].joint:
        score = np.mean([matrix.final(matrix.headline)[task] for matrix in seeds])
        axes.axhline(score, color=style.color, linewidth=1.2, linestyle="--")
        return
    low, mean, high = _band([matrix.scores(matrix.headline)[task:, task] for matrix in seeds])
    steps = range(task + 1, task + 1 + len(mean))
    _draw_line(axes, steps, mean, style, thin=True)
    if len(seeds) > 1:
        axes.fill_between(steps, low, high, color=style.color, alpha=0.18, linewidth=0)


def _draw_line(axes: Axes, x: Sequence[int], y: np.ndarray, style: LineStyle, thin: bool = False) -> None:
    (line,) = axes.plot(
        x,
        y,
        color=style.color,
        linewidth=1.2 if thin else 2.0,
        marker=style.marker,
        markersize=3.2 if thin else 5.5,
        markevery=max(1, len(y) // (5 if thin else _MOST_MARKED)),
        clip_on=False,
    )
    if style.dashes:
        line.set_dashes(style.dashes)


def _band(seeds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest, mean and highest of several lines, as far as the shortest of them goes."""
    shortest = min(map(len, seeds))
    values = np.stack([line[:shortest] for line in seeds])
    return values.min(axis=0), values.mean(axis=0), values.max(axis=0)


def _seeds(run: ResultMatrix | Sequence[ResultMatrix]) -> Sequence[ResultMatrix]:
    return [run] if isinstance(run, ResultMatrix) else run


def styles_of(runs: Runs, methods: Mapping[str, str] | None = None) -> list[LineStyle]:
    """The styles of runs, in their order; see `accuracy_over_tasks` for the arguments."""
    return [
        LineStyle(_COLORS[place % len(_COLORS)], _MARKERS[place % len(_MARKERS)], _DASHES[place % len(_DASHES)])
        for place in places([(methods or {}).get(label) for label in runs])
    ]


def accuracy_so_far(matrix: ResultMatrix) -> np.ndarray:
    """Mean accuracy on the tasks learned so far, [rows], after each row of a matrix; in percent.

    Where outputs have no accuracy, it is the metric that is shown first (`ResultMatrix.headline`).
    """
    return so_far(matrix, matrix.headline)


def plain(axes: Axes, size: float = 11.5) -> None:
    """Axes as all figures of a page have them: no frame, thin lines across, grey text."""
    axes.set_facecolor("none")
    axes.tick_params(which="both", colors=GREY, labelsize=size, length=0)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.7)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GREY)


def _show_at_least(axes: Axes, points: float) -> None:
    """Widen the vertical axis to `points` where what it shows lies closer together."""
    bottom, top = axes.get_ylim()
    lacking = points - (top - bottom)
    if lacking > 0:
        axes.set_ylim(bottom - lacking / 2, top + lacking / 2)


def name_tasks(axes: Axes, places: Sequence[float], names: Sequence[str], width: float) -> None:
    """Write the names of tasks below an axis of `width` points: upright if they fit, else turned, or some of them."""
    every = max(1, -(-15 * len(names) // int(width)))
    axes.set_xticks(places[::every], names[::every], rotation=90 if are_turned(names, width) else 0)


def are_turned(names: Sequence[str], width: float) -> bool:
    """Whether names below an axis of `width` points are turned."""
    longest = max(map(letters_of, names))
    return longest > _LONGEST_UPRIGHT or 8 * (longest + 1) * len(names) > width


def spaced(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spaced, the first and the last among them.

    Example:
      >>> spaced(9, 3), spaced(2, 3)
      ([0, 4, 8], [0, 1])
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))})


def _write_at_the_ends(axes: Axes, ends: Mapping[str, tuple[float, str]], named: bool) -> None:
    """Last value of each line, and its name, to the right of the axes and moved where they would overlap."""
    bottom, top = axes.get_ylim()
    order = sorted(ends, key=lambda label: ends[label][0])
    heights = spread([ends[label][0] for label in order], gap=(top - bottom) / 14)
    for label, height in zip(order, heights, strict=True):
        value, color = ends[label]
        axes.annotate(
            f"{label}  {value:.1f}" if named else f"{value:.1f}",
            (1.02, height),
            xycoords=("axes fraction", "data"),
            color=color,
            va="center",
            fontsize=13,
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


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
