"""Sequences in `.npz` archives and in TFRecord files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, reason_of, require
from data_pipelines.array_files import read_arrays
from data_pipelines.own_data_tables import Record, split_of
from data_pipelines.table_files import as_float32


def read_npz(path: Path) -> list[Record]:
    """The sequences of an archive with `x` [N, T, F], `y` and, optionally, `lengths` [N] and `split` [N] (text).

    `y` is [N] or [N, n] where sequences have a label (or n), and [N, T] of whole numbers or [N, T, n] where steps do.

    Raises:
      ConfigurationError: It cannot be read, or arrays do not fit together.
    """
    arrays = read_arrays(path)
    for name in ("x", "y"):
        require(name in arrays, f"{path}: array '{name}' is missing. Its arrays: {', '.join(arrays)}.")
    x, y = arrays["x"], arrays["y"]
    require(
        x.dtype.kind in "biuf" and x.ndim in (2, 3) and x.size > 0,
        f"{path}: x must hold numbers [N, T, F] (or [N, T]). Received: {x.dtype} of shape {x.shape}.",
    )
    x = as_float32(x.reshape(*x.shape[:2], -1))
    lengths = arrays.get("lengths", np.full(len(x), x.shape[1]))
    splits = arrays.get("split", np.full(len(x), ""))
    for name, array in (("y", y), ("lengths", lengths), ("split", splits)):
        require(
            array.ndim > 0 and len(array) == len(x),
            f"{path}: {name} must have an entry for each of the {len(x)} sequences. Received: {array.shape}.",
        )
    require(y.dtype.kind in "biufU" and y.size > 0, f"{path}: y must hold numbers or text. Received: {_kind(y)}.")
    require(
        lengths.ndim == 1 and lengths.dtype.kind in "iuf",
        f"{path}: lengths must be whole numbers [N]. Received: {_kind(lengths)}.",
    )
    require(splits.ndim == 1, f"{path}: split must be text [N]. Received: {_kind(splits)}.")
    per_step = y.ndim == 3 or (y.ndim == 2 and y.dtype.kind in "iuU" and y.shape[1] == x.shape[1])
    require(
        y.ndim <= 3 and (not per_step or y.shape[1] == x.shape[1]),
        f"{path}: y must be [N], [N, n], [N, T] or [N, T, n] with T = {x.shape[1]}. Received: {y.shape}.",
    )
    labels = y[..., np.newaxis] if y.ndim == 1 + per_step else y
    return [
        Record(
            f"sequence {index}",
            x[index, : _length(path, index, lengths[index], x.shape[1])],
            labels[index, : int(lengths[index])] if per_step else labels[index],
            split_of(str(splits[index]), f"{path}, sequence {index}: split"),
        )
        for index in range(len(x))
    ]


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _length(path: Path, index: int, length: float, time: int) -> int:
    require(
        1 <= length <= time and length % 1 == 0,
        f"{path}, sequence {index}: its length must be a whole number in [1, {time}]. Received: {length}.",
    )
    return int(length)


def read_tfrecord(path: Path) -> list[Record]:
    """The sequences of `tf.train.SequenceExample` records.

    The feature list `inputs` holds the F numbers of each step. The label is the context feature `label`, or the feature
    list `label` for every step: whole numbers or text are classes, others are numbers. The context feature `split` is
    optional.

    Raises:
      ConfigurationError: A record is damaged or lacks something.
    """
    records: list[Record] = []
    try:
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            records.append(_parsed(serialized, f"{path}, record {len(records)}", len(records)))
    except tf.errors.OpError as error:
        raise ConfigurationError(f"{path}, record {len(records)} cannot be read: {reason_of(error.message)}.") from None
    return records


def _parsed(serialized: bytes, place: str, number: int) -> Record:
    try:
        example = tf.train.SequenceExample.FromString(serialized)
    except Exception:  # noqa: BLE001 - the error class depends on the protobuf implementation
        raise ConfigurationError(f"{place} is no tf.train.SequenceExample.") from None
    lists, context = example.feature_lists.feature_list, example.context.feature
    require("inputs" in lists, f"{place}: feature list 'inputs' is missing. It has: {', '.join(lists) or 'none'}.")
    steps = [_values(feature, place) for feature in lists["inputs"].feature]
    require(len(steps) > 0, f"{place}: feature list 'inputs' has no steps.")
    for index, step in enumerate(steps):
        require(step.dtype.kind in "if", f"{place}: inputs must be numbers. Received: text at step {index}.")
        require(
            len(step) == len(steps[0]) > 0,
            f"{place}: every step must hold {len(steps[0]) or 'some'} numbers. Received: {len(step)} at step {index}.",
        )
    if "label" in lists:
        rows = [_values(feature, place) for feature in lists["label"].feature]
        require(
            len(rows) == len(steps) and len({len(row) for row in rows}) == 1,
            f"{place}: feature list 'label' must have {len(steps)} steps of one width. Received: {len(rows)}.",
        )
        require(len(rows[0]) > 0, f"{place}: feature list 'label' is empty.")
        labels = np.stack(rows)
    else:
        require("label" in context, f"{place}: 'label' is missing, in the context and in the feature lists.")
        labels = _values(context["label"], place)
        require(len(labels) > 0, f"{place}: 'label' is empty.")
    of_split = _values(context["split"], place) if "split" in context else ("",)
    split = split_of(str(of_split[0]) if len(of_split) else "", f"{place}: split")
    return Record(f"record {number}", as_float32(np.stack(steps)), labels, split)


def _values(feature: tf.train.Feature, place: str) -> np.ndarray:
    kind = feature.WhichOneof("kind")
    if kind == "int64_list":
        return np.array(feature.int64_list.value, np.int64)
    if kind == "bytes_list":
        try:
            return np.array([value.decode() for value in feature.bytes_list.value], dtype=str)
        except UnicodeDecodeError:
            raise ConfigurationError(f"{place}: text must be UTF-8.") from None
    return np.array(feature.float_list.value, np.float32)
