"""Word vectors: files of several formats, and the published look-up rule.

    .npz            `words` (UTF-8, one a line) with `q` int8 [N, D] and `scale` [D] (vector = q * scale), or with
                    `vectors` [N, D]
    .vec, .vec.gz   text of word2vec and fastText: an optional line "N D", then a word and D numbers a line
    .pkl            Polyglot: a pickled pair (words, array [N, D]); nothing but arrays and strings is ever built

Words are in the order of the file, most frequent first.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from clrnn_tf.errors import ConfigurationError, require

UNKNOWN = 0
"""Row of words that have no vector: zeros."""
SUFFIXES = (".npz", ".vec", ".vec.gz", ".pkl")


class WordVectors:
    """A frozen table of vectors with a row of zeros in front.

    Args:
      words: N words, the most frequent first; of a word that is there twice, the first counts.
      vectors: [N, D].
    """

    def __init__(self, words: Iterable[str], vectors: np.ndarray) -> None:
        words = list(words)
        require(
            vectors.ndim == 2 and len(words) == len(vectors),
            f"vectors must be [N, D] for N words. Received: {len(words)} words and shape {vectors.shape}.",
        )
        self._rows = {word: row for row, word in reversed(list(enumerate(words, start=1)))}
        self.table = np.concatenate([np.zeros((1, vectors.shape[1])), vectors]).astype(np.float32)  # [N + 1, D]

    @property
    def width(self) -> int:
        """D."""
        return self.table.shape[1]

    def scale_to(self, norm: float) -> None:
        """Multiply all vectors by one factor, so that the median of their lengths is `norm`."""
        self.table *= np.float32(norm / np.median(np.linalg.norm(self.table[UNKNOWN + 1 :], axis=1)))

    def align_to(self, other: WordVectors) -> int:
        """Rotate all vectors so that the words of both tables lie as near as they can; how many words these are.

            R = argmin ||A R - B||_F = U V^T,     A^T B = U S V^T        over R with R^T R = 1

        for the vectors A [n, D] and B [n, D] of the n common words. Distances and angles within the table stay as they
        are. Words that two languages write alike are mostly names, numbers, punctuation and loans, so no dictionary is
        needed (Smith et al., "Offline bilingual word vectors, orthogonal transformations and the inverted softmax",
        ICLR 2017).
        """
        common = [word for word in self._rows if word in other._rows]
        own = self.table[[self._rows[word] for word in common]]
        theirs = other.table[[other._rows[word] for word in common]]
        left, _, right = np.linalg.svd(own.T @ theirs)
        self.table = (self.table @ (left @ right)).astype(np.float32)
        return len(common)

    def row(self, form: str) -> int:
        """Row of a form by the published rule, or `UNKNOWN`.

        The form itself; else with its digits as #; else the most frequent of its lower, upper and title case.
        """
        for candidate in (form, "".join("#" if character.isdigit() else character for character in form)):
            if candidate in self._rows:
                return self._rows[candidate]
        cases = (form.lower(), form.upper(), form.title())
        return min((self._rows[case] for case in cases if case in self._rows), default=UNKNOWN)


def find_vectors(directory: Path, language: str) -> Path | None:
    """The vectors file of a language: `xx.npz`, `xx.vec`, `xx.vec.gz` or `xx.pkl`, whichever comes first."""
    paths = (directory / f"{language}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def read_vectors(path: Path) -> WordVectors:
    """Read a file of word vectors; its name's ending says which format it has.

    Raises:
      ConfigurationError: The file is damaged or has lines of different widths.
    """
    reader = next((read for suffix, read in _READERS.items() if path.name.endswith(suffix)), None)
    if reader is None:
        raise ConfigurationError(f"{path}: vectors must be a file {', '.join(SUFFIXES)}. Received: {path.name}.")
    try:
        return WordVectors(*reader(path))
    except ConfigurationError as error:
        raise ConfigurationError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path} cannot be read as word vectors: {error}.") from None


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        text = stored["words"]
        words = text.tolist() if text.dtype.kind == "U" else bytes(text).decode("utf-8").split("\n")
        if "vectors" in stored:
            return words, stored["vectors"]
        return words, stored["q"].astype(np.float32) * stored["scale"]


def _read_text(path: Path) -> tuple[list[str], np.ndarray]:
    opener = gzip.open if path.suffix == ".gz" else open
    words, rows, width = [], [], None
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            parts = line.rstrip("\r\n ").split(" ")
            if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                width = int(parts[1])
                continue
            width = width or len(parts) - 1
            require(
                len(parts) == width + 1,
                f"{path}, line {number}: a word and {width} numbers are wanted. Received: {len(parts) - 1} numbers.",
            )
            words.append(parts[0])
            rows.append(np.array(parts[1:], np.float32))
    require(bool(rows), f"{path} holds no vectors. Received: an empty file.")
    return words, np.stack(rows)


def _read_polyglot(path: Path) -> tuple[list[str], np.ndarray]:
    loaded = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    require(
        isinstance(loaded, tuple) and len(loaded) == 2 and isinstance(loaded[1], np.ndarray),
        f"{path}: a pair (words, array) is wanted. Received: {type(loaded).__name__}.",
    )
    words = [word if isinstance(word, str) else str(word, "utf-8") for word in loaded[0]]
    return [_from_latin1(word) for word in words], loaded[1]


def _from_latin1(word: str) -> str:
    """UTF-8 text that Python 2 stored as bytes and `latin1` kept byte by byte; text that is no such thing stays."""
    try:
        return word.encode("latin1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return word


class _ArrayUnpickler(pickle.Unpickler):
    """Builds NumPy arrays, strings, numbers, tuples and lists; anything else is refused before it is called."""

    _ALLOWED = {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
    }

    def find_class(self, module: str, name: str) -> object:
        """The few functions that rebuild arrays."""
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}, which is no part of an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding)


_READERS: dict[str, Callable[[Path], tuple[list[str], np.ndarray]]] = {
    ".npz": _read_npz,
    ".vec": _read_text,
    ".vec.gz": _read_text,
    ".pkl": _read_polyglot,
}
