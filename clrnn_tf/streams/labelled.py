"""Sequences with their labels as arrays, checked; and what their labels are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.outputs import OutputName
from clrnn_tf.streams.tasks import Batch

NO_CLASS = -1
"""Class id of a step without a label."""
Arrays: TypeAlias = tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike | None]
"""Sequences [N, T, F] (or N arrays [T, F] of any lengths), their labels, and their lengths [N] if they differ."""


class TargetKind(NamedTuple):
    """What labels are."""

    outputs: OutputName
    per_step: bool
    """Whether every step has a label, or the sequence has one."""


@dataclass(frozen=True)
class LabelledSequences:
    """N sequences of up to T steps. `source` says in messages where they come from."""

    inputs: np.ndarray
    """[N, T, F] float32; NaN is a missing value, padding is 0."""
    targets: np.ndarray
    """Softmax: class ids [N] or [N, T] int32. Others: [N, C] or [N, T, C] float32."""
    lengths: np.ndarray
    """[N] int32."""
    source: str = ""
    records: tuple[str, ...] = ()
    """Names of the sequences in messages; () numbers them."""

    def __len__(self) -> int:
        return len(self.lengths)

    def place(self, index: int) -> str:
        """Which sequence it is, for messages."""
        return f"{self.source}, {self.records[index] if self.records else f'sequence {index}'}"

    @property
    def real(self) -> np.ndarray:
        """[N, T]: steps before the length."""
        return np.arange(self.inputs.shape[1]) < self.lengths[:, np.newaxis]

    def chosen(self, indices: np.ndarray) -> LabelledSequences:
        """Some of the sequences."""
        records = tuple(self.records[index] for index in indices) if self.records else ()
        inputs, targets, lengths = (field[indices] for field in (self.inputs, self.targets, self.lengths))
        return dataclasses.replace(self, inputs=inputs, targets=targets, lengths=lengths, records=records)

    def require_known_values(self, allow_missing: bool, setting: str) -> None:
        """Require finite inputs at real steps; NaN may stand for a missing value where the setting allows it.

        Raises:
          ConfigurationError: There are others.
        """
        bad = np.isinf(self.inputs) if allow_missing else ~np.isfinite(self.inputs)
        bad &= self.real[..., np.newaxis]
        if bad.any():
            index, step, feature = (int(place[0]) for place in np.nonzero(bad))
            value = self.inputs[index, step, feature]
            advice = f" Set {setting} to mean or previous to allow missing values." if np.isnan(value) else ""
            raise ConfigurationError(
                f"{self.place(index)}: inputs must be finite. Received: {value} at step {step}, feature {feature}."
                + advice
            )

    def require_targets(self, kind: TargetKind, num_classes: int) -> None:
        """Require labels of a kind: class ids below `num_classes`, bits from 0 to 1, or numbers.

        Steps may lack a label (-1, NaN); a sequence with one label may not.

        Raises:
          ConfigurationError: There are others.
        """
        targets = self.targets
        if kind.outputs == "softmax":
            bad, wanted = (targets >= num_classes) | (targets < 0), f"be in [0, {num_classes}), the classes"
            missing = targets == NO_CLASS
        elif kind.outputs == "sigmoid":
            missing, wanted = np.isnan(targets), "be 0 or 1"
            bad = ~((targets >= 0) & (targets <= 1))
        else:
            missing, wanted = np.isnan(targets), "be finite"
            bad = ~np.isfinite(targets)
        if kind.per_step:
            counted = (self.real if targets.ndim == 2 else self.real[..., np.newaxis]) & ~missing
            require(counted.any(), f"{self.source}: at least one step must have a label. Received: none.")
            bad &= counted
        if bad.any():
            place = tuple(int(axis[0]) for axis in np.nonzero(bad))
            step = f" at step {place[1]}" if kind.per_step else ""
            raise ConfigurationError(f"{self.place(place[0])}: labels must {wanted}. Received: {targets[place]}{step}.")


def labelled(arrays: Arrays, source: str, kind: TargetKind) -> LabelledSequences:
    """Arrays as checked sequences.

    Args:
      arrays: Sequences, labels and, where they are not all of T steps, lengths.
      source: Where they come from, for messages.
      kind: What the labels are.

    Raises:
      ConfigurationError: They do not fit together.
    """
    x, y, *rest = checked_tuple(arrays, source)
    inputs, lengths = _padded_inputs(x, source)
    if rest and rest[0] is not None:
        lengths = _given_lengths(rest[0], inputs, source)
    targets = _padded_targets(y, inputs.shape[1], source)
    require(
        len(targets) == len(inputs),
        f"{source} must have one label (or row of labels) for each of the {len(inputs)} sequences. "
        f"Received: {len(targets)}.",
    )
    return LabelledSequences(inputs, _targets_of(targets, kind, inputs.shape[1], source), lengths, source)


def kind_of(arrays: Arrays, source: str, outputs: OutputName | None = None) -> TargetKind:
    """What the labels of arrays are, by their type and shape.

    Class ids are whole numbers, [N] or [N, T]. Bits are booleans, [N, C] or [N, T, C]. Real numbers are floats [N],
    [N, C] or [N, T, C].

    Args:
      arrays: Sequences and labels.
      source: Where they come from, for messages.
      outputs: What they are, where their type does not say it.

    Raises:
      ConfigurationError: They are nothing of this.
    """
    targets = _padded_targets(checked_tuple(arrays, source)[1], None, source)
    if outputs is None:
        is_class = targets.dtype.kind in "iu" and targets.ndim < 3
        outputs = "softmax" if is_class else "linear" if targets.dtype.kind == "f" else "sigmoid"
    require(
        targets.ndim > 1 or outputs != "sigmoid",
        f"{source}: bits must be [N, C] or [N, T, C]. Received: {targets.dtype} of shape {targets.shape}.",
    )
    return TargetKind(outputs, per_step=targets.ndim == (2 if outputs == "softmax" else 3))


def checked_tuple(arrays: Arrays, source: str) -> Sequence[ArrayLike | None]:
    """The arrays of a task: two or three.

    Raises:
      ConfigurationError: They are something else.
    """
    require(
        isinstance(arrays, tuple | list) and len(arrays) in (2, 3),
        f"{source} must be (sequences, labels) or (sequences, labels, lengths). "
        f"Received: {len(arrays) if isinstance(arrays, tuple | list) else type(arrays).__name__}.",
    )
    return arrays


def _padded_inputs(x: ArrayLike | None, source: str) -> tuple[np.ndarray, np.ndarray]:
    """[N, T, F] float32, and the lengths [N]."""
    if isinstance(x, list | tuple):
        sequences = [_matrix(item, f"{source}, sequence {index}") for index, item in enumerate(x)]
        require(len(sequences) > 0, f"{source} must hold at least one sequence. Received: 0.")
        widths = [sequence.shape[1] for sequence in sequences]
        for index, width in enumerate(widths):
            require(
                width == widths[0],
                f"{source}, sequence {index}: steps must have {widths[0]} values, as in sequence 0. Received: {width}.",
            )
        lengths = np.array([len(sequence) for sequence in sequences], np.int32)
        inputs = np.zeros([len(sequences), lengths.max(), widths[0]], np.float32)
        for row, sequence in zip(inputs, sequences, strict=True):
            row[: len(sequence)] = sequence
    else:
        given = _numbers(x, source)
        inputs = given[..., np.newaxis] if given.ndim == 2 else given
        require(
            inputs.ndim == 3 and inputs.size > 0,
            f"{source}: sequences must be [N, T, F] (or [N, T]) and not empty. Received: {given.shape}.",
        )
        lengths = np.full(len(inputs), inputs.shape[1], np.int32)
    return inputs, lengths


def _numbers(values: ArrayLike | None, source: str) -> np.ndarray:
    array = np.asarray(values)
    try:
        if array.dtype.kind not in "cmMUS":  # which NumPy would convert, too
            return array.astype(np.float32)
    except (TypeError, ValueError):
        pass
    raise ConfigurationError(f"{source}: sequences must hold numbers. Received: {array.dtype}.")


def _matrix(sequence: ArrayLike, place: str) -> np.ndarray:
    """One sequence [T, F]."""
    values = _numbers(sequence, place)
    values = values[:, np.newaxis] if values.ndim == 1 else values
    require(
        values.ndim == 2 and values.size > 0,
        f"{place} must be [T, F] (or [T]) and not empty. Received: {np.shape(sequence)}.",
    )
    return values


def _given_lengths(lengths: ArrayLike, inputs: np.ndarray, source: str) -> np.ndarray:
    array = np.asarray(lengths)
    number, time = inputs.shape[:2]
    require(
        array.shape == (number,) and array.dtype.kind in "iuf" and bool(np.all(array % 1 == 0)),
        f"{source}: lengths must be {number} whole numbers. Received: {array.dtype} of shape {array.shape}.",
    )
    for index, length in enumerate(array):
        require(
            1 <= length <= time,
            f"{source}, sequence {index}: its length must be in [1, {time}]. Received: {length}.",
        )
    return array.astype(np.int32)


def _padded_targets(y: ArrayLike | None, time: int | None, source: str) -> np.ndarray:
    """Labels as one array; of lists that differ in length, the end is filled up with "no label" (to T, if given)."""
    if isinstance(y, list | tuple) and y and np.ndim(y[0]) > 0 and len({np.shape(item)[0] for item in y}) > 1:
        rows = [np.asarray(item) for item in y]
        longest = max(len(row) for row in rows)
        time = longest if time is None else time
        require(longest <= time, f"{source}: labels must be of at most {time} steps, T. Received: {longest}.")
        shape = (len(rows), time, *rows[0].shape[1:])
        is_class = rows[0].dtype.kind in "iu" and rows[0].ndim == 1
        padded = np.full(shape, NO_CLASS, np.int32) if is_class else np.full(shape, np.nan, np.float32)
        for target, row in zip(padded, rows, strict=True):
            target[: len(row)] = row
        return padded
    array = np.asarray(y)
    require(
        array.dtype.kind in "biuf" and 1 <= array.ndim <= 3,
        f"{source}: labels must be numbers or booleans, [N], [N, C], [N, T] or [N, T, C]. "
        f"Received: {array.dtype} of shape {array.shape}.",
    )
    return array


def _targets_of(targets: np.ndarray, kind: TargetKind, time: int, source: str) -> np.ndarray:
    """Labels in the type and shape of their kind."""
    if kind.outputs == "softmax":
        wanted = ("[N, T]", 2) if kind.per_step else ("[N]", 1)
        targets = np.where(np.isfinite(targets), targets, NO_CLASS) if targets.dtype.kind == "f" else targets
        require(
            bool(np.all(targets % 1 == 0)), f"{source}: class ids must be whole numbers. Received: {targets.dtype}."
        )
        result = targets.astype(np.int32)
    else:
        wanted = ("[N, T, C]", 3) if kind.per_step else ("[N, C]", 2)
        result = targets.astype(np.float32)
        result = result[..., np.newaxis] if result.ndim == wanted[1] - 1 else result
    require(
        result.ndim == wanted[1] and (not kind.per_step or result.shape[1] == time),
        f"{source}: labels must be {wanted[0]}, with T = {time}. Received: {targets.shape}.",
    )
    return result


def batch_maker(kind: TargetKind) -> Callable[[dict[str, tf.Tensor]], Batch]:
    """Makes batches of the fields `inputs`, `targets` and `lengths`.

    Every step that has a label counts; where a sequence has one label, its last step does.
    """

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        inputs, targets, lengths = fields["inputs"], fields["targets"], fields["lengths"]
        steps = tf.range(tf.shape(inputs)[1])
        if kind.per_step:
            known = targets != NO_CLASS if kind.outputs == "softmax" else ~tf.reduce_any(tf.math.is_nan(targets), -1)
            counted = known & (steps < lengths[:, tf.newaxis])
        else:
            counted = steps == lengths[:, tf.newaxis] - 1
        valid = counted if kind.outputs == "softmax" else counted[..., tf.newaxis]
        targets = tf.where(valid, targets, tf.zeros_like(targets))
        weights = tf.cast(counted, tf.float32)
        return Batch(inputs, targets, weights, weights, lengths, tf.zeros_like(lengths))

    return make_batch
