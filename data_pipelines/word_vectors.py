"""Word vectors: a frozen table, and the published look-up rule.

    .npz               `words` (UTF-8, one per line) with `q` int8 [N, D] and `scale` [D] (vector = q * scale), or with
                       `vectors` [N, D]
    .vec, .txt, or     text of word2vec, fastText and GloVe: an optional line "N D", then lines of a word and D numbers,
    either with .gz    separated by blanks or tabs
    .pkl               Polyglot: a pickled pair (words, array [N, D]); nothing but arrays and strings is ever built

Words are in the order of the file, most frequent first.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from unicodedata import normalize

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.array_files import DAMAGE
from data_pipelines.vector_archives import read_npz
from data_pipelines.vector_pickles import read_polyglot
from data_pipelines.vector_text import read_text

UNKNOWN = 0
"""Row of words that have no vector: zeros."""
_READERS: dict[str, Callable[[Path], tuple]] = {
    ".npz": read_npz,
    ".vec": read_text,
    ".vec.gz": read_text,
    ".pkl": read_polyglot,
    ".txt": read_text,
    ".txt.gz": read_text,
}
SUFFIXES = tuple(_READERS)
"""Ends of the names of files that can be read, the preferred one first."""
_BLOCK = 2**16  # rows that are checked at a time
_DAMAGE = (*DAMAGE, pickle.UnpicklingError)
"""What reading a damaged file can raise."""


class WordVectors:
    """A frozen table of vectors with a row of zeros in front.

    Args:
      words: N words, the most frequent first; if a word appears twice, the first one counts.
      vectors: [N, D].

    Example:
    >>> vectors = WordVectors(["the", "##"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> vectors.row("The"), vectors.row("42"), vectors.row("of")
    (1, 2, 0)
    """

    def __init__(self, words: Iterable[str], vectors: np.ndarray) -> None:
        words = list(words)
        require(
            vectors.ndim == 2 and len(words) == len(vectors),
            f"vectors must be [N, D] for N words. Received: {len(words)} words and shape {vectors.shape}.",
        )
        table = np.zeros([len(vectors) + 1, vectors.shape[1]], np.float32)  # [N + 1, D]
        table[1:] = vectors
        self._fill(words, table)

    @classmethod
    def of_table(cls, words: Sequence[str], table: np.ndarray, step: np.ndarray | None = None) -> WordVectors:
        """Vectors whose table float32 [N + 1, D] has its row of zeros already; it is not copied. See `step`."""
        vectors = cls.__new__(cls)
        vectors._fill(words, table)
        vectors.step = step
        return vectors

    def _fill(self, words: Sequence[str], table: np.ndarray) -> None:
        require(
            table.shape[0] > 1 and table.shape[1] > 0,
            f"at least one word and a width above 0 are wanted. Received: {table.shape[0] - 1} words of width "
            f"{table.shape[1]}.",
        )
        for start in range(0, len(table), _BLOCK):
            finite = np.isfinite(table[start : start + _BLOCK]).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise ConfigurationError(f"vector {row}, of the word {words[row - 1]!r}, holds nan or an infinity.")
        self.table = table
        self.step: np.ndarray | None = None
        """[D] float32 where the numbers of each dimension are multiples of its step, from -128 to 127; else None."""
        self._rows: dict[str, int] = {}
        self._composed_rows: dict[str, int] = {}
        for row, word in enumerate(words, start=1):
            self._rows.setdefault(word, row)
            composed = composed_form(word)
            if composed != word:
                self._composed_rows.setdefault(composed, row)

    @property
    def width(self) -> int:
        """D."""
        return self.table.shape[1]

    def scale_to(self, norm: float) -> None:
        """Multiply all vectors by one factor, so that the median of their lengths is `norm`.

        Raises:
          ConfigurationError: The median is 0, or numbers become too large for float32.
        """
        median = self.median_length()
        require(bool(median > 0), "at least half of the vectors are zeros.")
        with np.errstate(all="ignore"):
            factor = np.float32(norm / median)
            self.table *= factor
        require(
            bool(factor > 0) and bool(np.isfinite([self.table.min(), self.table.max()]).all()),
            f"vectors must be scalable to a median length of {norm:g} in float32. Received: a median of {median:g}.",
        )
        self.step = None if self.step is None else self.step * factor

    def median_length(self) -> np.floating:
        """Median of the Euclidean lengths of the N vectors."""
        with np.errstate(over="ignore"):
            return np.median(np.linalg.norm(self.table[UNKNOWN + 1 :], axis=1))

    def align_to(self, other: WordVectors) -> int:
        """Rotate all vectors so that those of common words lie as near as possible; returns how many words are common.

            R = argmin ||A R - B||_F = U V^T,     A^T B = U S V^T        over R with R^T R = 1

        for the vectors A [n, D] and B [n, D] of the n common words. Distances and angles within the table do not
        change. Words that two languages write alike are mostly names, numbers, punctuation and loanwords, so no
        dictionary is needed (Smith et al., "Offline bilingual word vectors, orthogonal transformations and the inverted
        softmax", ICLR 2017).
        """
        common = [word for word in reversed(self._rows) if word in other._rows]
        vectors = self.table[[self._rows[word] for word in common]]
        targets = other.table[[other._rows[word] for word in common]]
        left, _, right = np.linalg.svd(vectors.T @ targets)
        self.table = (self.table @ (left @ right)).astype(np.float32)
        self.step = None
        return len(common)

    def row(self, form: str) -> int:
        """Row of a form by the published rule, or `UNKNOWN`.

        The form itself; else with its digits as #; else the most frequent of its lower, upper and title case. A form
        that is not found as it is written is looked up with composed letters (Unicode's NFC), on either side.
        """
        if row := self._row_of(form):
            return row
        if row := self._row_of("".join("#" if character.isdigit() else character for character in form)):
            return row
        rows = (self._row_of(case) for case in (form.lower(), form.upper(), form.title()))
        return min((row for row in rows if row), default=UNKNOWN)

    def rows(self, most: int) -> dict[str, int]:
        """Rows of the first `most` words, by word as it is written and by word with composed letters."""
        together = {**self._composed_rows, **self._rows}
        return {word: row for word, row in together.items() if row <= most}

    def _row_of(self, word: str) -> int:
        row = self._rows.get(word, UNKNOWN)
        if row or word.isascii():
            return row
        composed = composed_form(word)
        return self._rows.get(composed) or self._composed_rows.get(composed, UNKNOWN)


def composed_form(word: str) -> str:
    """The word with composed letters (NFC): e and an accent become the one letter that looks the same."""
    return word if word.isascii() else normalize("NFC", word)


def read_vectors(path: Path) -> WordVectors:
    """Read a file of word vectors; its name's ending says which format it has.

    Raises:
      ConfigurationError: The file is damaged, has lines of different widths or numbers that are not finite.
    """
    reader = next((read for suffix, read in _READERS.items() if path.name.endswith(suffix)), None)
    if reader is None:
        raise ConfigurationError(f"{path}: vectors must be a file {', '.join(SUFFIXES)}. Received: {path.name}.")
    try:
        with np.errstate(all="ignore"):
            return WordVectors.of_table(*reader(path))
    except ConfigurationError as error:
        raise ConfigurationError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigurationError(f"{path} cannot be read as word vectors: {reason}.") from None
