"""Tables of sequences: CSV and Parquet, with a row for every step, or a row for every file of a sequence."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.array_files import in_one_line, read_array

SPLITS = ("train", "test", "validation")
TABLES = (".csv", ".tsv", ".parquet")
_DELIMITERS = ",;\t"
_SHOWN = 12


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


class Table(NamedTuple):
    """Text by column; "" where a value is missing."""

    path: Path
    columns: dict[str, list[str]]
    lines: Sequence[int] = ()
    """The line that each row ends in, in text."""

    def place(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"line {self.lines[row]}" if self.lines else f"row {row + 1}"

    def column(self, name: str) -> list[str]:
        """The values of a column.

        Raises:
          ConfigurationError: There is none.
        """
        if name not in self.columns:
            raise ConfigurationError(f"{self.path}: column '{name}' is missing. Its columns: {shown(self.columns)}.")
        return self.columns[name]

    def numbers(self, name: str) -> np.ndarray:
        """The values of a column as float32, NaN where one is missing.

        Raises:
          ConfigurationError: A value is no number; the message names its line.
        """
        values = self.column(name)
        try:
            return as_float32(np.array([value or "nan" for value in values], np.float64))
        except ValueError:
            for number, value in enumerate(values):
                require(
                    not value or is_number(value),
                    f"{self.path}, {self.place(number)}: column '{name}' must hold numbers. Received: {value!r}.",
                )
            raise

    def splits(self, name: str) -> list[str]:
        """The split of each row; "" where there is no such column.

        Raises:
          ConfigurationError: A value names no split.
        """
        values = self.columns.get(name) or [""] * len(next(iter(self.columns.values())))
        for number, value in enumerate(values):
            require(
                value in ("", *SPLITS),
                f"{self.path}, {self.place(number)}: column '{name}' must be one of {', '.join(SPLITS)}. "
                f"Received: {value!r}.",
            )
        return values


def as_float32(numbers: np.ndarray) -> np.ndarray:
    """Numbers as float32; infinite where they are too large for it, without NumPy's warning."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def shown(names: Collection[str]) -> str:
    """The first names, for messages."""
    return ", ".join([*list(names)[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_table(path: Path) -> Table:
    """A table of at least one row.

    Raises:
      ConfigurationError: It cannot be read as one.
    """
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    require(bool(table.columns) and bool(next(iter(table.columns.values()))), f"{path} has no rows below its header.")
    return table


def _read_csv(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            require(bool(header.strip()), f"{path} is empty.")
            delimiter = max(_DELIMITERS, key=header.count)
            names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
            _require_names(path, names)
            columns: dict[str, list[str]] = {name: [] for name in names}
            lines: list[int] = []
            rows = csv.reader(file, delimiter=delimiter)
            for row in filter(None, rows):
                lines.append(1 + rows.line_num)
                require(
                    len(row) == len(names),
                    f"{path}, line {lines[-1]}: a row must have {len(names)} fields. Received: {len(row)}.",
                )
                for values, value in zip(columns.values(), row, strict=True):
                    values.append(value.strip())
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as a table of text: {error}.") from None
    return Table(path, columns, lines)


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(f"{path} needs the package pyarrow: pip install pyarrow.") from None
    try:
        table = pyarrow.parquet.read_table(path)
        names = table.column_names
        _require_names(path, names)
        return Table(path, {name: [_text(value) for value in table.column(name).to_pylist()] for name in names})
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError, LookupError) as error:
        raise ConfigurationError(f"{path} cannot be read as Parquet: {in_one_line(error)}.") from None


def _require_names(path: Path, names: Sequence[str]) -> None:
    """Require that columns have names, which differ."""
    for number, name in enumerate(names, 1):
        require(bool(name), f"{path}: column {number} has no name. Name it, or write the table without row numbers.")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    require(not repeated, f"{path}: names of columns must differ. Received twice: {shown(repeated)}.")


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value)) if isinstance(value, bool) else str(value)


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
        files = (path for path in files_of(table, columns) if path.suffix in TABLES and path.is_file())
        return next((tuple(read_table(path).columns) for path in files), ())
    others = {columns.sequence, columns.step, columns.split, columns.file, *columns.labels}
    names = tuple(name for name in table.columns if name not in others)
    require(bool(names), f"{table.path}: there is no column of inputs beside {', '.join(table.columns)}.")
    return names


def _records_of_steps(table: Table, columns: Columns) -> list[Record]:
    ids = table.column(columns.sequence)
    labels = np.array([table.column(name) for name in columns.labels], dtype=str).T  # [rows, n]
    labels[labels == "nan"] = ""
    inputs = np.stack([table.numbers(name) for name in feature_names(table, columns)], axis=1)
    splits = table.splits(columns.split)
    rows_by_id: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        require(bool(name), f"{table.path}, {table.place(row)}: column '{columns.sequence}' must not be empty.")
        rows_by_id.setdefault(name, []).append(row)
    steps = table.numbers(columns.step) if columns.step in table.columns else None
    records = []
    for name, rows in rows_by_id.items():
        place = f"sequence '{name}' ({table.place(rows[0])})"
        order = np.array(rows)
        if steps is not None:
            require(not np.isnan(steps[order]).any(), f"{table.path}, {place}: every row needs a '{columns.step}'.")
            order = order[np.argsort(steps[order], kind="stable")]
        of_sequence = {splits[row] for row in rows}
        require(len(of_sequence) == 1, f"{table.path}, {place} is in several splits: {', '.join(sorted(of_sequence))}.")
        records.append(Record(place, inputs[order], labels[order], of_sequence.pop(), repeated=True))
    return records


def _records_of_manifest(table: Table, columns: Columns) -> list[Record]:
    splits, records = table.splits(columns.split), []
    labels = np.array([table.column(name) for name in columns.labels], dtype=str).T
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
    if path.suffix != ".npy":
        require(path.suffix in TABLES, f"{path} must end in .npy, {' or '.join(TABLES)} to hold a sequence.")
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
