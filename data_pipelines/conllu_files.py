"""Treebanks in CoNLL-U: finding the files of a language, and reading words with their universal tags."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clrnn_tf.errors import ConfigurationError, nearest, require

try:
    from conllu.exceptions import ParseException
    from conllu.parser import parse_id_value
except ImportError:  # reported by `read_sentences`
    parse_id_value = None

UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
    "SYM", "VERB", "X",
)  # fmt: skip
"""The 17 universal tags; a tag's class id is its place here."""

_COLUMNS = 10
_FILE_NAME = re.compile(r"(?P<language>[a-z]{2,3})_(?P<treebank>[^-]+)-ud-(?P<split>train|dev|test)\.conllu(\.gz)?$")


class Word(NamedTuple):
    """A syntactic word."""

    form: str
    upos: int
    """Class id, an index into `UPOS`."""


Sentence = list[Word]


class Treebank(NamedTuple):
    """The files of one language."""

    language: str
    name: str
    train: Path
    test: Path
    dev: Path | None


def read_sentences(path: Path) -> list[Sentence]:
    """Sentences of a CoNLL-U file, plain or gzipped.

    Multiword ranges (`3-4`), empty nodes (`3.1`) and rows without a tag (`_`) are no words and are left out.

    Raises:
      ConfigurationError: A line is malformed; the message says file, line number, what was wanted and what came.
    """
    require(parse_id_value is not None, "reading CoNLL-U needs the package conllu: pip install 'clrnn_tf[text]'.")
    sentences: list[Sentence] = []
    words: Sentence = []
    for number, line in _lines(path):
        if not line.strip():
            if words:
                sentences.append(words)
            words = []
        elif not line.startswith("#"):
            word = _word(line, f"{path}, line {number}")
            if word is not None:
                words.append(word)
    if words:
        sentences.append(words)
    require(bool(sentences), f"{path} holds no sentence. Received: an empty file or one without tagged words.")
    return sentences


def find_treebanks(root: Path) -> dict[str, Treebank]:
    """Treebanks by language code, below a Universal Dependencies release folder.

    Args:
      root: Holds `UD_*` folders, or a folder `ud` that does, or is such a folder itself. Where a language has several
        treebanks, the first by name is taken.

    Raises:
      ConfigurationError: There is none.
    """
    folders = next(
        (found for where in (root / "ud", root) if (found := sorted(p for p in where.glob("UD_*") if p.is_dir()))),
        [root],
    )
    treebanks: dict[str, Treebank] = {}
    for folder in folders:
        for language, files in _files_by_language(folder).items():
            if language not in treebanks and {"train", "test"} <= files.keys():
                treebanks[language] = Treebank(
                    language, folder.name, files["train"], files["test"], files.get("dev")
                )
    require(
        bool(treebanks),
        f"no treebank in {root}. Wanted: folders UD_* with files such as en_gum-ud-train.conllu and "
        "en_gum-ud-test.conllu (.gz or plain), as in a Universal Dependencies release.",
    )
    return treebanks


def select_languages(treebanks: dict[str, Treebank], languages: tuple[str, ...], root: Path) -> list[Treebank]:
    """The treebanks of some languages in their order; an unknown one is answered with those that are there."""
    for language in languages:
        if language not in treebanks:
            raise ConfigurationError(
                f"no treebank of language '{language}' with train and test files in {root}."
                f"{nearest(language, treebanks)}"
            )
    return [treebanks[language] for language in languages]


def _files_by_language(folder: Path) -> dict[str, dict[str, Path]]:
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE_NAME.match(path.name)
        if match:
            files.setdefault(match["language"], {}).setdefault(match["split"], path)
    return files


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}, line {number} is not UTF-8. Convert the file.") from None
    except (OSError, EOFError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from None


def _word(line: str, where: str) -> Word | None:
    columns = line.split("\t")
    require(
        len(columns) == _COLUMNS,
        f"{where}: a CoNLL-U line must have {_COLUMNS} columns separated by tabs. Received: {len(columns)}.",
    )
    word_id, form, _, upos, *_ = columns  # not conllu.parse_line, which splits forms at double blanks
    try:
        number = parse_id_value(word_id)
    except ParseException:
        raise ConfigurationError(
            f"{where}: the first column must be a word's number, a range 3-4 or an empty node 3.1. "
            f"Received: {word_id!r}."
        ) from None
    if not isinstance(number, int) or upos == "_":
        return None
    if upos not in UPOS:
        raise ConfigurationError(f"{where}: unknown universal tag {upos!r}. Wanted: {' '.join(UPOS)}.")
    return Word(form, UPOS.index(upos))
