"""Word vectors as text: the files of word2vec, fastText and GloVe, whole or not.

The width D is that of the header or of most of the first lines. The last D fields of a line are its numbers, and the
rest is the word, which may hold blanks (GloVe has words such as `. . .`). Fields are separated by blanks or tabs.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.storage import warn
from data_pipelines.text_files import expanded_limit, numbered_lines

_PEEKED_LINES = 100
_FIRST_ROWS = 4096  # of the table, where there is no header
_MOST_FIRST_ROWS = 2**22
_WIDEST = 10**6
_CUT_ENDS = (b".", b"-", b"+", b"e", b"E")

Lines = Iterator[tuple[int, bytes]]


class Layout(NamedTuple):
    """Width and number of the vectors, from the first lines of a file."""

    width: int
    """D."""
    num_words: int | None
    """N of the header, where there is one."""


def read_text(path: Path) -> tuple[list[str], np.ndarray]:
    """Words, and their table float32 [N + 1, D] with a row of zeros in front.

    If a word appears twice, the first one is kept. Bytes that are not UTF-8 are replaced. There is a warning for these,
    for a number of words other than the header's, and for a last line that breaks off.

    Raises:
      ConfigurationError: A line has too few numbers, or something that is no finite number.
    """
    lines = numbered_lines(path)
    first = [item for item in itertools.islice(lines, _PEEKED_LINES) if item[1].strip()]
    layout = _layout(path, first)
    reader = _Reader(path, layout)
    rest = itertools.chain(first[layout.num_words is not None :], lines)
    reader.read(rest)
    require(bool(reader.words), f"{path} holds no vectors. Received: a file that breaks off in the first one.")
    reader.warn_of_damage()
    return list(reader.words), reader.table()


class _Reader:
    """Collects the words and vectors of one file in a table that grows in place."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.words: dict[str, None] = {}
        self._path, self._layout = path, layout
        self._num_lines = self._num_replaced = 0
        self._cut_word: str | None = None
        self._is_left_out = False
        self._table = np.zeros([self._first_rows(), layout.width], np.float32)

    def read(self, lines: Lines) -> None:
        """All lines after the header."""
        width = self._layout.width
        for number, line in lines:
            fields = line.rsplit(None, width)
            if not fields:
                continue
            if len(fields) == width and line[:1] in b" \t":
                fields.insert(0, b"")  # the word is a blank
            if b"\r" in fields[0]:
                raise ConfigurationError(
                    f"{self._path}, line {number} has a carriage return inside. Convert the line ends of the file."
                )
            if not line.endswith(b"\n") and self._is_cut(fields, line):
                continue
            if len(fields) <= width:
                raise ConfigurationError(
                    f"{self._path}, line {number}: a word and {width} numbers are wanted. Received: "
                    f"{len(fields) - 1} numbers."
                )
            self._add(number, fields)

    def table(self) -> np.ndarray:
        """[N + 1, D]."""
        self._table.resize([len(self.words) + 1, self._layout.width], refcheck=False)
        return self._table

    def warn_of_damage(self) -> None:
        """Warn of what is wrong with a file that could be read nevertheless."""
        if self._num_replaced:
            warn(f"{self._path} is not UTF-8 throughout; words with replaced characters: {self._num_replaced:,}.")
        expected = self._layout.num_words
        if expected is not None and expected != self._num_lines:
            warn(
                f"{self._path}: the first line says {expected:,} vectors, {self._num_lines:,} are there."
                f"{' Was the download cut off?' if self._num_lines < expected else ''}"
            )
        elif self._cut_word is not None:
            warn(f"{self._path} ends in the middle of a line. Was the download cut off? {self._num_lines:,} are there.")
        if self._cut_word is not None:
            kept = "is left out" if self._is_left_out else "may be cut short"
            warn(f"{self._path}: the last vector, of the word {self._cut_word!r}, {kept}: its line does not end.")

    def _add(self, number: int, fields: list[bytes]) -> None:
        self._num_lines += 1
        try:
            word = fields[0].decode("utf-8")
        except UnicodeDecodeError:
            word = fields[0].decode("utf-8", errors="replace")
            self._num_replaced += 1
        try:
            vector = np.array(fields[1:], np.float32)
        except ValueError:
            vector = None
        if vector is None or not np.isfinite(vector).all():
            raise ConfigurationError(
                f"{self._path}, line {number}: the word {_shortened(word)!r} must have {self._layout.width} finite "
                f"numbers. Received: {_shortened(_first_bad(fields[1:]))}."
            )
        if word in self.words:
            return
        self.words[word] = None
        row = len(self.words)
        if row == len(self._table):
            self._table.resize([row + row // 2, self._layout.width], refcheck=False)
        self._table[row] = vector

    def _is_cut(self, fields: list[bytes], line: bytes) -> bool:
        """Whether the last line, which has no line end, is not whole and must be left out."""
        is_last_of_header = self._num_lines + 1 == self._layout.num_words
        self._is_left_out = len(fields) <= self._layout.width or line.endswith(_CUT_ENDS)
        if is_last_of_header and not self._is_left_out:
            return False
        self._cut_word = _shortened(fields[0].decode("utf-8", errors="replace"))
        return self._is_left_out

    def _first_rows(self) -> int:
        """Rows to begin with: those of the header, if the file can hold them (a number has a digit and a blank)."""
        size = self._path.stat().st_size
        most = expanded_limit(size) if self._path.suffix == ".gz" else size
        claimed = min(self._layout.num_words or _FIRST_ROWS, _MOST_FIRST_ROWS)
        return 2 + min(claimed, most // (2 * self._layout.width))


def _layout(path: Path, first: list[tuple[int, bytes]]) -> Layout:
    lines = [line.split() for _, line in first]
    require(bool(lines), f"{path} holds no vectors. Received: an empty file.")
    header = lines[0]
    if len(header) == 2 and all(field.isdigit() and len(field) < 16 for field in header):
        num_words, width = map(int, header)
        require(len(lines) > 1, f"{path} holds no vectors. Received: a first line alone.")
        require(
            0 < width <= _WIDEST,
            f"{path}, line 1: the width of the vectors must be in [1, {_WIDEST:,}]. Received: {width:,}.",
        )
        most, _ = Counter(map(_numbers_at_the_end, lines[1:])).most_common(1)[0]
        require(
            most <= width,
            f"{path}, line 1 says that vectors have {width} numbers. Received: {most} numbers in most lines.",
        )
        return Layout(width, num_words)
    widths = [width for fields in lines if (width := _numbers_at_the_end(fields))]
    if not widths or not _numbers_at_the_end(lines[0]):
        raise ConfigurationError(
            f"{path}, line {first[0][0]}: a word and its numbers are wanted. Received: "
            f"{_shortened(first[0][1].strip().decode('utf-8', errors='replace'))!r}."
        )
    return Layout(Counter(widths).most_common(1)[0][0], None)


def _numbers_at_the_end(fields: list[bytes]) -> int:
    """How many of the fields after the word are numbers, counted from the end."""
    return sum(1 for _ in itertools.takewhile(_is_number, reversed(fields[1:])))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _first_bad(fields: list[bytes]) -> str:
    bad = (field for field in fields if not (_is_number(field) and np.isfinite(np.float32(field))))
    return next(bad, b"?").decode("utf-8", errors="replace")


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."
