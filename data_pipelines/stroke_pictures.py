"""Digits drawn by their strokes, for descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clrnn_tf.streams.tasks import Batch, TaskStream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 30  # from one digit of a sequence to the next


def draw_strokes(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Draw the digits of a sequence side by side; a dot shows where the pen is first set down.

    Args:
      axes: Where to draw.
      example: A batch without its first axis, as arrays.
      stream: Not used.
    """
    del stream
    steps = np.asarray(example.inputs[: int(example.lengths)])
    ends = np.flatnonzero(steps[:, 3]) + 1
    for place, digit in enumerate(np.split(steps, ends)[:-1]):
        points = digit[:, :2].cumsum(axis=0)
        strokes = np.split(points, np.flatnonzero(digit[:, 2]) + 1)[:-1]
        for number, stroke in enumerate(strokes):
            line = stroke[:-1] + [_WIDTH * place, 0]  # the last step lifts the pen
            axes.plot(line[:, 0], line[:, 1], color=f"C{number}", marker=".", markersize=2, linewidth=1)
        axes.plot(points[0, 0] + _WIDTH * place, points[0, 1], "o", color="black", markersize=3)
    axes.set(xlim=(0, _WIDTH * max(1, len(ends))), ylim=(_WIDTH, 0), aspect="equal")
