"""Sequences in tables, with a row for every step, or a row for every file of a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.array_files import read_array
from data_pipelines.table_files import TABLES, Table, as_float32, is_missing, is_number, read_table

SPLITS = ("train", "test", "validation")
_OTHER_NAMES = {"training": "train", "testing": "test", "val": "validation", "valid": "validation", "dev": "validation"}


class Columns(NamedTuple):
    """Names of columns."""

    sequence: str
    """Which sequence a row belongs to."""
    step: str
    """Order of the rows of a sequence; may be absent, then they are in order."""
    file: str
    """File of a sequence, in a manifest."""
    split: str
    """`train`, `test` or `validation`; may be absent."""
    labels: tuple[str, ...]
    features: tuple[str, ...]
    """() for all other columns."""


class Record(NamedTuple):
    """One sequence as it was read."""

    name: str
    """For messages."""
    inputs: np.ndarray
    """[T, F] float32; NaN is a missing value."""
    labels: np.ndarray
    """[n] of the sequence or [T, n] of its steps: text (empty where there is none), numbers or booleans."""
    split: str = ""
    repeated: bool = False
    """Whether a table repeats the labels in every row: they may be those of the sequence."""


def split_named(name: str) -> str | None:
    """The split that a name stands for, such as `validation` for `Val`; None where it stands for none."""
    name = name.lower()
    name = _OTHER_NAMES.get(name, name)
    return name if name in SPLITS else None


def split_of(name: str, place: str) -> str:
    """The split of a record, "" where its name is empty.

    Raises:
      ConfigurationError: The name stands for no split; the message begins with `place`.
    """
    split = split_named(name) if name else ""
    if split is None:
        raise ConfigurationError(f"{place} must be one of {', '.join(SPLITS)}. Received: {name!r}.")
    return split


def records_of(table: Table, columns: Columns) -> list[Record]:
    """The sequences of a table: a manifest if it has a column of files, else a row is a step.

    Raises:
      ConfigurationError: A column is missing, or a value is not as it must be.
    """
    if _is_manifest(table, columns):
        return _records_of_manifest(table, columns)
    return _records_of_steps(table, columns)


def feature_names(table: Table, columns: Columns) -> tuple[str, ...]:
    """Names of the inputs: those of the settings, else all columns that are nothing else.

    Of a manifest, the columns of the first file that has columns; () where none has.
    """
    if columns.features:
        return columns.features
    if _is_manifest(table, columns):
        files = (path for path in files_of(table, columns) if path.suffix.lower() in TABLES and path.is_file())
        return next((tuple(read_table(path).columns) for path in files), ())
    others = {columns.sequence, columns.step, columns.split, columns.file, *columns.labels}
    names = tuple(name for name in table.columns if name not in others)
    require(bool(names), f"{table.path}: there is no column of inputs beside {', '.join(table.columns)}.")
    return names


def _records_of_steps(table: Table, columns: Columns) -> list[Record]:
    ids = table.column(columns.sequence)
    labels = _labels(table, columns)
    inputs = np.stack([table.numbers(name) for name in feature_names(table, columns)], axis=1)
    splits = _splits(table, columns)
    rows_by_id: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        require(bool(name), f"{table.path}, {table.place(row)}: column '{columns.sequence}' must not be empty.")
        rows_by_id.setdefault(name, []).append(row)
    steps = table.exact_numbers(columns.step) if columns.step in table.columns else None
    records = []
    for name, rows in rows_by_id.items():
        place = f"sequence '{name}' ({table.place(rows[0])})"
        order = np.array(rows)
        if steps is not None:
            require(not np.isnan(steps[order]).any(), f"{table.path}, {place}: every row needs a '{columns.step}'.")
            order = order[np.argsort(steps[order], kind="stable")]
            _require_distinct(table, order, steps, f"{place}: column '{columns.step}'")
        of_sequence = {splits[row] for row in rows}
        require(len(of_sequence) == 1, f"{table.path}, {place} is in several splits: {', '.join(sorted(of_sequence))}.")
        records.append(Record(place, inputs[order], labels[order], of_sequence.pop(), repeated=True))
    return records


def _labels(table: Table, columns: Columns) -> np.ndarray:
    """Labels [rows, n] as text, "" where there is none: empty or NaN, and NA and the like among numbers."""
    of_columns = []
    for name in columns.labels:
        values = table.column(name)
        known = {value for value in set(values) if not is_missing(value)}
        missing = is_missing if known and all(map(is_number, known)) else {"", "nan", "NaN"}.__contains__
        of_columns.append(["" if missing(value) else value for value in values])
    return np.array(of_columns, dtype=str).T


def _require_distinct(table: Table, rows: np.ndarray, steps: np.ndarray, place: str) -> None:
    """Refuse a sequence with two rows of the same step: often two sequences of the same name."""
    same = np.flatnonzero(np.diff(steps[rows]) == 0)
    if len(same):
        first, second = sorted((rows[same[0]], rows[same[0] + 1]))
        raise ConfigurationError(
            f"{table.path}, {place} must differ from row to row. Received: {steps[first]:.16g} in {table.place(first)} "
            f"and {table.place(second)}."
        )


def _splits(table: Table, columns: Columns) -> list[str]:
    """The split of each row; "" where there is no such column, or it is empty."""
    names = table.columns.get(columns.split) or [""] * table.num_rows
    return [
        split_of(name, f"{table.path}, {table.place(row)}: column '{columns.split}'") for row, name in enumerate(names)
    ]


def _records_of_manifest(table: Table, columns: Columns) -> list[Record]:
    splits, records = _splits(table, columns), []
    labels = _labels(table, columns)
    width: int | None = None
    for row, name in enumerate(table.column(columns.file)):
        place = f"{table.path}, {table.place(row)}"
        path = table.path.parent / name
        require(bool(name) and path.is_file(), f"{place}: there is no file {path}.")
        inputs = _read_sequence(path, columns.features)
        require(
            width in (None, inputs.shape[1]),
            f"{place}: steps of {path} must have {width} values, as in the files before. Received: {inputs.shape[1]}.",
        )
        width = inputs.shape[1]
        records.append(Record(f"{table.place(row)} ({name})", inputs, labels[row], splits[row]))
    return records


def _read_sequence(path: Path, features: Sequence[str]) -> np.ndarray:
    """One sequence [T, F] of a file: `.npy`, or a table with a row for each step."""
    if path.suffix.lower() != ".npy":
        require(path.suffix.lower() in TABLES, f"{path} must end in .npy, {' or '.join(TABLES)} to hold a sequence.")
        table = read_table(path)
        return np.stack([table.numbers(name) for name in features], axis=1)
    array = read_array(path)
    require(
        array.dtype.kind in "biuf" and array.ndim in (1, 2) and array.size > 0,
        f"{path} must hold numbers [T, F] (or [T]). Received: {array.dtype} of shape {array.shape}.",
    )
    return as_float32(array.reshape(len(array), -1))


def _is_manifest(table: Table, columns: Columns) -> bool:
    return columns.sequence not in table.columns and columns.file in table.columns


def files_of(table: Table, columns: Columns) -> Iterable[Path]:
    """Files that a manifest names."""
    if not _is_manifest(table, columns):
        return []
    return [table.path.parent / name for name in table.columns.get(columns.file, [])]
