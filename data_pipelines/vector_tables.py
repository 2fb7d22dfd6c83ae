"""The word vectors of each language of a stream: where they lie, and their tables aligned and scaled."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.storage import warn
from data_pipelines.vector_files import find_vectors, unused_files
from data_pipelines.word_vectors import WordVectors, read_vectors


def vector_files(
    languages: Sequence[str], vectors_dir: Path | None, data_dir: Path | None, letters: bool = False
) -> dict[str, Path]:
    """A vectors file for every language, or for none: words come in one way.

    Args:
      languages: Language codes; none where vectors are not wanted.
      vectors_dir: Where the files must be, or None for a directory of the data, where they may be: `wordvec`.
      data_dir: Directory of the data, or None for data without vectors.
      letters: Whether words are read by their letters, too. They then take `wordvec128` of the data where it is there:
        longer vectors, in one space for all languages.

    Raises:
      ConfigurationError: Some languages have a file and others have none.
    """
    if vectors_dir is not None:
        require(vectors_dir.is_dir(), f"no such directory: data.vectors_dir {vectors_dir}.")
    directory = vectors_dir or (_directory_of(data_dir, letters) if data_dir else None)
    if directory is None:
        return {}
    files = {language: path for language in languages if (path := find_vectors(directory, language))}
    missing = [language for language in languages if language not in files]
    unused = unused_files(directory, set(files.values())) if missing else []
    there = f" Files that are not used: {_listed(unused)}." if unused else ""
    require(
        not missing or (not files and vectors_dir is None),
        f"no word vectors of {', '.join(missing)} in {directory}.{there} Add the files (as xx.vec, xx.txt, xx.npz or "
        "xx.pkl), choose other data.languages, or use character n-grams for all with data.vectors none.",
    )
    if missing:
        _warn_of_unused(directory, unused, data_dir)
    return files


def _directory_of(data_dir: Path, letters: bool) -> Path:
    long = data_dir / "wordvec128"
    return long if letters and long.is_dir() else data_dir / "wordvec"


class VectorTables:
    """Reads the vectors of one language at a time, so that not all of them are in memory at once.

    Args:
      files: Vectors file by language, in the order in which they are learned.
      align: Whether vectors are rotated onto those of the first language.
      norm: Median length of the vectors of each language, or None to leave them as they are.
    """

    def __init__(self, files: Mapping[str, Path], align: bool = False, norm: float | None = None) -> None:
        require(
            bool(files) or not align,
            "data.align_vectors needs word vectors. Received: none; words come in as character n-grams.",
        )
        self._files, self._align, self._norm = files, align, norm
        self._first_language = next(iter(files), "")
        self._reference: WordVectors | None = None
        self._latest: tuple[str, WordVectors] | None = None
        self.width: int | None = None
        """D, once the first table has been read."""

    def of(self, language: str) -> WordVectors | None:
        """The vectors of a language; None where words come in as n-grams."""
        if not self._files:
            return None
        if self._latest is None or self._latest[0] != language:
            self._latest = (language, self._read(language))
        return self._latest[1]

    def _read(self, language: str) -> WordVectors:
        path = self._files[language]
        table = read_vectors(path)
        first = self._files[self._first_language]
        require(
            self.width in (None, table.width),
            f"word vectors of all languages must have one width. Received: {first} with {self.width}, {path} with "
            f"{table.width}.",
        )
        self.width = table.width
        if self._align:
            self._rotate(language, table)
        if self._norm is not None:
            _scale(table, self._norm, path)
        return table

    def _rotate(self, language: str, table: WordVectors) -> None:
        if language == self._first_language:
            self._reference = copy.deepcopy(table) if self._norm is not None else table  # not scaled
            return
        if self._reference is None:
            raise RuntimeError(f"vectors of {self._first_language} must be read before those of {language}.")
        common = table.align_to(self._reference)
        require(
            common >= table.width,
            f"data.align_vectors needs at least {table.width} words, the width of the vectors, that {language} has in "
            f"common with {self._first_language}. Received: {common}.",
        )


def _scale(table: WordVectors, norm: float, path: Path) -> None:
    try:
        table.scale_to(norm)
    except ConfigurationError as error:
        raise ConfigurationError(f"data.vector_norm, {path}: {error}") from None


def _warn_of_unused(directory: Path, unused: Sequence[str], data_dir: Path | None) -> None:
    place = directory
    if not unused and data_dir is not None:
        place, unused = data_dir, unused_files(data_dir, set())
    if unused:
        warn(
            f"no word vectors are used; words come in as character n-grams. Files in {place} that are not used: "
            f"{_listed(unused)}. To use one, name it {directory.name}/xx.vec (.txt, .npz, .pkl), xx being the language."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
