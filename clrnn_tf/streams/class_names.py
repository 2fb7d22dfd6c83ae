"""Classes that are given by their names, as text, numbered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from clrnn_tf.errors import ConfigurationError, shown
from clrnn_tf.streams.labelled import NO_CLASS


def are_text(labels: ArrayLike | None) -> bool:
    """Whether labels are text: one for each sequence, or one for each step.

    >>> are_text(["on", "off"]), are_text([[b"on", b"off"], [b"on"]]), are_text([0, 1])
    (True, True, False)
    """
    rows = _rows(labels)
    return bool(rows) and all(isinstance(name, str | bytes) for name in rows[0].ravel().tolist())


def names_in(tasks: Iterable[ArrayLike | None]) -> tuple[str, ...]:
    """Every name in the labels of the tasks once, by letters; "" stands for no label.

    >>> names_in([["on", "off"], ["broken", "on"]])
    ('broken', 'off', 'on')
    """
    return tuple(sorted({name for labels in tasks for row in _rows(labels) for name in _names(row)} - {""}))


def numbered(labels: ArrayLike | None, names: Sequence[str], source: str) -> np.ndarray | list[np.ndarray]:
    """The places of labels in `names`, -1 for "", as the labels are: for sequences, or for steps.

    Args:
      labels: Text.
      names: The classes.
      source: Where they come from, for messages.

    Raises:
      ConfigurationError: A label is none of the classes; the message names its sequence.

    >>> numbered(["on", "off", ""], ["off", "on"], "task 'pump'")
    array([ 1,  0, -1], dtype=int32)
    """
    ids = {"": NO_CLASS, **{name: number for number, name in enumerate(names)}}
    rows = []
    for index, row in enumerate(_rows(labels)):
        unknown = next((name for name in _names(row) if name not in ids), None)
        if unknown is not None:
            wanted = f"is none of the classes {shown(names)}."
            raise ConfigurationError(f"{source}, sequence {index}: label {unknown!r} {wanted}")
        rows.append(np.array([ids[name] for name in _names(row)], np.int32).reshape(row.shape))
    return np.stack(rows) if len({row.shape for row in rows}) == 1 else rows


def _rows(labels: ArrayLike | None) -> list[np.ndarray]:
    """The label [] or labels [T] of each sequence; [] where labels are nothing of the kind."""
    if isinstance(labels, list | tuple):
        return [np.asarray(row) for row in labels]
    array = np.asarray(labels)
    return [np.asarray(row) for row in array] if array.ndim > 0 else []


def _names(row: np.ndarray) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in row.ravel().tolist()]
