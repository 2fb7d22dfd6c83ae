"""Digits as pen strokes, in the form of E. de Jong's "MNIST digits stroke sequence data".

A step is (dx, dy, end of stroke, end of digit), whole numbers. The first step of a digit is the place where the pen is
set down, counted from (1, 1) at the upper left of 28 x 28 pixels; y points down. The others are offsets. A stroke ends
with (0, 0, 1, 0), and a digit with (0, 0, 1, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.array_files import read_arrays

NUM_FEATURES = 4
_LARGEST = 28  # pixels: no offset is larger
_SPLITS = ("train", "test")


class StrokeDigits(NamedTuple):
    """Digits one after another.

    Example: a digit of three steps, and one of two.
      >>> import numpy as np
      >>> steps = np.array([[9, 5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [3, 3, 0, 0], [0, 0, 1, 1]], np.int8)
      >>> digits = StrokeDigits(steps, np.array([3, 2], np.int32), np.array([1, 7], np.int32))
      >>> digits.sequences(np.array([[1, 0]]))[0, :, 0].tolist()
      [3, 0, 9, 0, 0]
    """

    steps: np.ndarray
    """[sum of lengths, 4] int8."""
    lengths: np.ndarray
    """[N] int32: steps of each digit."""
    labels: np.ndarray
    """[N] int32, 0 to 9."""

    def chosen(self, indices: np.ndarray) -> StrokeDigits:
        """The digits with these indices [n], in this order."""
        return StrokeDigits(self.steps[self._rows(indices)], self.lengths[indices], self.labels[indices])

    def sequences(self, indices: np.ndarray, time: int | None = None) -> np.ndarray:
        """Sequences of m digits each, [n, T, 4] int8, with zeros after their ends.

        Args:
          indices: [n, m].
          time: T; by default that of the longest sequence.
        """
        lengths = self.lengths[indices].sum(axis=1)
        time = int(lengths.max()) if time is None else time
        padded = np.zeros((len(indices), time, NUM_FEATURES), np.int8)
        padded[np.arange(time) < lengths[:, np.newaxis]] = self.steps[self._rows(indices.ravel())]
        return padded

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        """Rows of `steps` that hold the digits with these indices, one digit after another."""
        lengths = self.lengths[indices]
        starts = (np.cumsum(self.lengths) - self.lengths)[indices]
        before = np.cumsum(lengths) - lengths
        return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


class StrokeData(NamedTuple):
    """The training and test digits of a source."""

    train: StrokeDigits
    test: StrokeDigits


def joined(digits: Sequence[np.ndarray], labels: Sequence[int] | np.ndarray) -> StrokeDigits:
    """Digits of the steps [L, 4] of each."""
    lengths = np.array([len(steps) for steps in digits], np.int32)
    return StrokeDigits(np.concatenate(digits).astype(np.int8), lengths, np.asarray(labels, np.int32))


def read_npz(path: Path) -> StrokeData:
    """Read arrays `train_x` [sum of lengths, 4], `train_len`, `train_y` and the same for `test`.

    Raises:
      ConfigurationError: An array is missing or damaged; the message names the file and the digit.
    """
    names = [name for split in _SPLITS for name in _names(split)]
    found = read_arrays(path, names)
    missing = [name for name in names if name not in found]
    require(
        not missing,
        f"{path} must hold train_x, train_len, train_y, test_x, test_len and test_y. Missing: {', '.join(missing)}.",
    )
    parts = []
    for split in _SPLITS:
        steps, lengths, labels = (found[name] for name in _names(split))
        parts.append(_checked(steps, lengths, labels, f"{path}, {split}"))
    return StrokeData(*parts)


def write_npz(path: Path, data: StrokeData) -> None:
    """Write what `read_npz` reads."""
    arrays: dict[str, Any] = {}
    for split, digits in zip(_SPLITS, data, strict=True):
        kinds = (np.int8, np.int16, np.uint8)
        arrays |= {name: array.astype(kind) for name, array, kind in zip(_names(split), digits, kinds, strict=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


def check_digit(steps: np.ndarray, where: str) -> None:
    """Refuse steps [L, 4] that are no digit.

    Raises:
      ConfigurationError: They are not; the message begins with `where`.
    """
    _checked(steps, np.array([len(steps)]), np.array([0]), where)


def _names(split: str) -> tuple[str, str, str]:
    return f"{split}_x", f"{split}_len", f"{split}_y"


def _checked(steps: np.ndarray, lengths: np.ndarray, labels: np.ndarray, where: str) -> StrokeDigits:
    """The arrays as digits, if they are."""
    require(
        steps.ndim == 2 and steps.shape[1] == NUM_FEATURES and steps.dtype.kind in "iuf",
        f"{where}: steps must be [steps, {NUM_FEATURES}] numbers. Received: {steps.dtype} of shape {steps.shape}.",
    )
    require(
        lengths.ndim == labels.ndim == 1 and len(lengths) == len(labels) > 0 and lengths.dtype.kind in "iu",
        f"{where}: there must be a length and a label for each digit. Received: shapes {lengths.shape} and "
        f"{labels.shape}.",
    )
    require(
        int(lengths.sum(dtype=np.int64)) == len(steps) and int(lengths.min()) > 0,
        f"{where}: lengths must be above 0 and add up to the {len(steps)} steps. Received: a sum of "
        f"{lengths.sum(dtype=np.int64)}, the shortest {lengths.min()}.",
    )
    bad = np.flatnonzero(~np.isin(labels, np.arange(10)))
    require(
        len(bad) == 0,
        f"{where}, digit {bad[0] if len(bad) else 0}: labels must be 0 to 9. Received: {labels[bad][:1]}.",
    )
    _check_steps(steps, lengths, where)
    return StrokeDigits(steps.astype(np.int8), lengths.astype(np.int32), labels.astype(np.int32))


def _check_steps(steps: np.ndarray, lengths: np.ndarray, where: str) -> None:
    last = np.zeros(len(steps), bool)
    last[np.cumsum(lengths) - 1] = True
    with np.errstate(invalid="ignore"):
        good = (np.abs(steps) <= _LARGEST).all(axis=1) & (steps % 1 == 0).all(axis=1)  # not so of NaN
        good &= np.isin(steps[:, 2:], (0, 1)).all(axis=1) & ((steps[:, 3] == 1) == last)
    if good.all():
        return
    row = int(np.argmin(good))
    digit = int(np.searchsorted(np.cumsum(lengths), row, side="right"))
    raise ConfigurationError(
        f"{where}, digit {digit}, step {row - int(lengths[:digit].sum())}: a step must be (dx, dy, end of stroke, end "
        f"of digit), whole numbers of at most {_LARGEST} and two bits, the last of which ends the digit. Received: "
        f"{steps[row].tolist()}."
    )
