"""Pen strokes from images of digits: thin, prune, trace, in the manner of E. de Jong's stroke sequences.

An image becomes a skeleton of one pixel's width, short spurs are cut off, and a pen visits every pixel of the skeleton
once. At a junction the pen goes straight on. Where it cannot go on, it is lifted and set down at the nearest loose end
of what is left. Of all loose ends as starts, the one with the fewest strokes and the shortest way through the air is
taken. Steps are (dx, dy, end of stroke, end of digit), as in `data_pipelines.stroke_digits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from clrnn_tf.errors import ConfigurationError

SIZE = 28  # pixels in each direction of an image of MNIST
_SPUR = 2  # shorter branches that end in the open are cut off
_SPECK = 3  # smaller connected parts are dropped
_NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # rows and columns, straight first

Pixel = tuple[int, int]


def trace(image: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """The strokes of a digit.

    Args:
      image: [28, 28], bright on dark.
      threshold: Pixels above this share of the brightest one belong to the digit.

    Returns:
      Steps [L, 4] int8. The first one is the place of the first pixel, counted from 1.

    Raises:
      ConfigurationError: The image is empty, or scikit-image is not installed.
    """
    pixels = skeleton(np.asarray(image, float) > threshold * max(float(np.max(image)), 1e-9))
    if not pixels:
        raise ConfigurationError("an image must show a digit. Received: an empty one.")
    return _steps(shortest_strokes(pixels))


def skeleton(shape: np.ndarray) -> set[Pixel]:
    """Pixels (row, column) of the skeleton of a shape [H, W] bool, without short spurs and specks."""
    try:
        from skimage.morphology import remove_small_objects, skeletonize
    except ImportError:
        raise ConfigurationError(
            "images become strokes with scikit-image, which is not installed. Run pip install scikit-image."
        ) from None
    thin = skeletonize(shape)
    large = remove_small_objects(thin, max_size=_SPECK - 1, connectivity=2)
    rows, columns = np.nonzero(large if large.any() else thin)
    return _without_spurs(set(zip(rows.tolist(), columns.tolist(), strict=True)))


def shortest_strokes(pixels: set[Pixel]) -> list[list[Pixel]]:
    """Strokes that visit every pixel once: of all starts, those with the fewest strokes, then the least way between."""
    starts = _loose_ends(pixels) or [min(pixels)]
    return min((_strokes_from(start, pixels) for start in starts), key=_cost)


def _neighbours(pixel: Pixel, pixels: Iterable[Pixel]) -> list[Pixel]:
    row, column = pixel
    return [near for dr, dc in _NEIGHBOURS if (near := (row + dr, column + dc)) in pixels]


def _loose_ends(pixels: set[Pixel]) -> list[Pixel]:
    return sorted(pixel for pixel in pixels if len(_neighbours(pixel, pixels)) < 2)


def _without_spurs(pixels: set[Pixel]) -> set[Pixel]:
    """Without branches of fewer than `_SPUR` pixels between a loose end and a junction."""
    kept = set(pixels)
    for end in _loose_ends(pixels):
        branch, here = [end], end
        while len(branch) <= _SPUR:
            ahead = [near for near in _neighbours(here, kept) if near not in branch]
            if len(ahead) != 1:
                break
            here = ahead[0]
            branch.append(here)
        at_junction = len(_neighbours(here, kept)) > 2
        if at_junction and len(branch) - 1 < _SPUR:
            kept -= set(branch[:-1])
    return kept


def _strokes_from(start: Pixel, pixels: set[Pixel]) -> list[list[Pixel]]:
    left = set(pixels)
    strokes: list[list[Pixel]] = []
    while left:
        if strokes:
            start = _nearest_start(strokes[-1][-1], left)
        strokes.append(_stroke(start, left))
    whole = [stroke for stroke in strokes if len(stroke) > 1]
    return whole or strokes


def _stroke(start: Pixel, left: set[Pixel]) -> list[Pixel]:
    """Goes on as straight as it can until no neighbour is left; takes its pixels out of `left`."""
    stroke = [start]
    left.discard(start)
    while ahead := _neighbours(stroke[-1], left):
        stroke.append(min(ahead, key=lambda near: _turn(stroke, near)))
        left.discard(stroke[-1])
    return stroke


def _turn(stroke: list[Pixel], near: Pixel) -> float:
    """Angle between the direction of the last pixels of a stroke and the way to the next one."""
    if len(stroke) == 1:
        return 0.0
    back = stroke[max(0, len(stroke) - 4)]
    here = stroke[-1]
    come = math.atan2(here[0] - back[0], here[1] - back[1])
    go = math.atan2(near[0] - here[0], near[1] - here[1])
    return abs(math.remainder(go - come, math.tau))


def _nearest_start(pen: Pixel, left: set[Pixel]) -> Pixel:
    return min(_loose_ends(left) or left, key=lambda pixel: (math.dist(pen, pixel), pixel))


def _cost(strokes: list[list[Pixel]]) -> tuple[int, float, Pixel]:
    lifts = sum(math.dist(one[-1], other[0]) for one, other in zip(strokes, strokes[1:], strict=False))
    return len(strokes), lifts, strokes[0][0]


def _steps(strokes: list[list[Pixel]]) -> np.ndarray:
    steps, row, column = [], -1, -1  # the first pixel is at (1, 1)
    for stroke in strokes:
        for to_row, to_column in stroke:
            steps.append((to_column - column, to_row - row, 0, 0))
            row, column = to_row, to_column
        steps.append((0, 0, 1, 0))
    steps[-1] = (0, 0, 1, 1)
    return np.array(steps, np.int8)
