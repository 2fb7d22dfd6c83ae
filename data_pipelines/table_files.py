"""Tables in files: CSV and Parquet, as text by column."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require, shown
from data_pipelines.array_files import in_one_line
from data_pipelines.text_files import require_text

TABLES = (".csv", ".tsv", ".parquet")
_DELIMITERS = ",;\t"
_MISSING = {"", "nan", "na", "n/a", "null", "none", "?"}
"""What stands for a missing number, in small letters."""


class Table(NamedTuple):
    """Text by column; "" where a value is missing."""

    path: Path
    columns: dict[str, list[str]]
    lines: Sequence[int] = ()
    """The line that each row ends in, in text."""

    @property
    def num_rows(self) -> int:
        """Rows below the header."""
        return len(next(iter(self.columns.values()), ()))

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
          ConfigurationError: A value is no number, or too large; the message names its line.
        """
        exact = self.exact_numbers(name)
        numbers = as_float32(exact)
        too_large = np.flatnonzero(np.isinf(numbers) & np.isfinite(exact))
        for row in too_large.tolist():
            raise ConfigurationError(
                f"{self.path}, {self.place(row)}: column '{name}' must hold numbers up to 3.4e+38. Received: "
                f"{self.column(name)[row]!r}."
            )
        return numbers

    def exact_numbers(self, name: str) -> np.ndarray:
        """The values of a column as float64, NaN where one is missing: empty, NaN, NA, N/A, null, None or ?.

        Raises:
          ConfigurationError: A value is no number; the message names its line.
        """
        values = self.column(name)
        try:
            return np.array([math.nan if is_missing(value) else _number(value) for value in values])
        except ValueError:
            wrong = (row for row, value in enumerate(values) if not is_missing(value) and not is_number(value))
            row = next(wrong)
            raise ConfigurationError(
                f"{self.path}, {self.place(row)}: column '{name}' must hold numbers. Received: {values[row]!r}."
            ) from None


def as_float32(numbers: np.ndarray) -> np.ndarray:
    """Numbers as float32; infinite where they are too large for it, without NumPy's warning."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def is_missing(text: str) -> bool:
    """Whether a text stands for a number that is not there."""
    return text.lower() in _MISSING


def is_number(text: str) -> bool:
    """Whether a text is a number; 1_000 is none, though Python takes it for one."""
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(text)
    return float(text)


def read_table(path: Path) -> Table:
    """A table of at least one row.

    Raises:
      ConfigurationError: It cannot be read as one.
    """
    table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    require(table.num_rows > 0, f"{path} has no rows below its header.")
    return table


def _read_csv(path: Path) -> Table:
    require_text(path)
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
    except UnicodeDecodeError:
        raise ConfigurationError(_not_utf8(path)) from None
    except csv.Error as error:
        raise ConfigurationError(f"{path} cannot be read as a table of text: {error}.") from None
    return Table(path, columns, lines)


def _not_utf8(path: Path) -> str:
    """Where a file is not UTF-8 text."""
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = 1 + len(re.findall(rb"\r\n|\r|\n", data[: error.start]))
        return f"{path}, line {line} must be UTF-8 text. Received: the byte {data[error.start]:#x}. Convert the file."
    return f"{path} must be UTF-8 text."  # it has changed since


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
    numbered = [str(number) for number in range(len(names))]  # as pandas names them
    require(
        list(names) == numbered or not all(map(is_number, names)),
        f"{path}: the first row must name the columns. Received: {shown(names)}.",
    )
    repeated = [name for name, times in Counter(names).items() if times > 1]
    require(not repeated, f"{path}: names of columns must differ. Received twice: {shown(repeated)}.")


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value)) if isinstance(value, bool) else str(value)
