"""Treebanks in CoNLL-U: words of sentences with their universal tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import compress, takewhile
from pathlib import Path
from typing import NamedTuple

from conllu.exceptions import ParseException
from conllu.parser import parse_id_value

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.storage import warn
from data_pipelines.text_files import numbered_lines

UPOS = (
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
)
"""The 17 universal tags; a tag's class id is its place here."""
BLANK_FORMS = ("_", "")
"""Forms of words whose text is withheld; `_` may also be a real word."""

_COLUMNS = 10
_ROW_END = "\t\n\t"  # between rows that are joined: a cell that no row can hold
_CLASS_IDS = {tag: class_id for class_id, tag in enumerate(UPOS)}
_OLD_TAGS = {"CONJ": "CCONJ", ".": "PUNCT", "PRT": "PART"}
"""Tags of UD version 1 and of the universal tagset before it."""


class Word(NamedTuple):
    """A syntactic word."""

    form: str
    upos: int
    """Class id, an index into `UPOS`."""


Sentence = list[Word]


class Limits(NamedTuple):
    """How much of a split is read; `None` stands for all."""

    max_tokens: int | None = None
    """Sentences are read until there are this many words."""
    max_sentences: int | None = None
    max_sentence_words: int | None = None
    """Longer sentences are cut into pieces of this many words."""


UNLIMITED = Limits()


class WordCount(NamedTuple):
    """Words of some files."""

    words: int
    blank: int
    """Words whose form is one of `BLANK_FORMS`."""

    @property
    def blank_share(self) -> float:
        """Share of words without text, in [0, 1]."""
        return self.blank / max(self.words, 1)


def read_sentences(paths: Path | Sequence[Path], limits: Limits = UNLIMITED) -> list[Sentence]:
    """Sentences of one CoNLL-U file or of several in a row, plain or gzipped.

    Multiword ranges (`3-4`), empty nodes (`3.1`) and rows without a tag (`_`) are no words and are left out. Files
    that come after the limits are reached are not opened.

    Args:
      paths: The files.
      limits: How much is read.

    Raises:
      ConfigurationError: A line is malformed; the message says file, line number, what was wanted and what came.
    """
    files = [paths] if isinstance(paths, Path) else paths
    return limited(((f"{path}, line {line}", words) for path in files for line, words in _sentences(path)), limits)


def limited(located: Iterable[tuple[str, Sentence]], limits: Limits) -> list[Sentence]:
    """Sentences up to some limits; nothing is drawn from the iterable after they are reached.

    Args:
      located: Each sentence, with the place where it begins, for the warning about long ones.
      limits: How much is taken.
    """
    kept: list[Sentence] = []
    cut: list[str] = []
    tokens = 0
    for place, words in located:
        pieces = [words]
        if limits.max_sentence_words is not None and len(words) > limits.max_sentence_words:
            cut.append(place)
            pieces = _pieces(words, limits.max_sentence_words)
        for piece in pieces:
            if _reached(limits, tokens, len(kept)):
                break
            kept.append(piece)
            tokens += len(piece)
        if _reached(limits, tokens, len(kept)):
            break
    if cut:
        others = f", and so are {len(cut) - 1:,} more" if len(cut) > 1 else ""
        warn(
            f"{cut[0]}: a sentence of more than {limits.max_sentence_words:,} words is cut into "
            f"pieces of that length{others}. Is an empty line missing? data.max_sentence_words sets the length."
        )
    return kept


def count_words(paths: Iterable[Path], at_most: int | None = None) -> WordCount:
    """Words of CoNLL-U files, counted without a check of their lines.

    Args:
      paths: The files.
      at_most: Stop after this many words.
    """
    words = blank = 0
    blank_forms = tuple(form.encode() for form in BLANK_FORMS)
    for path in paths:
        for _, line in numbered_lines(path):
            columns = line.split(b"\t", 2)
            if len(columns) == 3 and columns[0].isdigit():
                words += 1
                blank += columns[1] in blank_forms
                if words == at_most:
                    return WordCount(words, blank)
    return WordCount(words, blank)


def _reached(limits: Limits, tokens: int, sentences: int) -> bool:
    return (limits.max_tokens is not None and tokens >= limits.max_tokens) or (
        limits.max_sentences is not None and sentences >= limits.max_sentences
    )


def _pieces(words: Sentence, size: int) -> list[Sentence]:
    return [words[start : start + size] for start in range(0, len(words), size)]


def _sentences(path: Path) -> Iterator[tuple[int, Sentence]]:
    """Each sentence with the number of the line of its first word."""
    found, first_line = False, 1
    for lines in _paragraphs(path):
        plain = _plain_sentence(lines, first_line)
        for sentence in _line_by_line(lines, first_line, path) if plain is None else (plain,):
            found = True
            yield sentence
        first_line += len(lines)
    require(found, f"{path} holds no sentence. Received: an empty file or one without tagged words.")


def _paragraphs(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file up to a blank one, which is the last."""
    lines: list[bytes] = []
    for _, line in numbered_lines(path):
        lines.append(line)
        if line.isspace():
            yield lines
            lines = []
    if lines:
        yield lines


def _plain_sentence(lines: list[bytes], first_line: int) -> tuple[int, Sentence] | None:
    """A sentence as nearly all are: comments, then rows of 10 columns, whose words have tags; None if it is another.

    All rows are divided at once, which takes a third of the time of reading line by line.
    """
    num_comments = sum(1 for _ in takewhile(_is_comment, lines))
    try:
        rows = b"".join(lines).decode("utf-8").rstrip("\n").split("\n")[num_comments:]
        cells = _ROW_END.join(rows).split("\t")
        ends = cells[_COLUMNS :: _COLUMNS + 1]  # if the rows have 10 columns, and no row end is anywhere else
        if ends.count("\n") != len(rows) - 1 or len(cells) != len(rows) * (_COLUMNS + 1) - 1:
            return None
        ids, forms, tags = (cells[column :: _COLUMNS + 1] for column in (0, 1, 3))
        are_words = list(map(_is_word, ids))
        if None in are_words or "" in ids:
            return None
        class_ids = map(_CLASS_IDS.__getitem__, compress(tags, are_words))
        return first_line + num_comments + are_words.index(True), list(map(Word, compress(forms, are_words), class_ids))
    except (UnicodeDecodeError, KeyError, ValueError):  # ValueError: no word
        return None


def _is_comment(line: bytes) -> bool:
    return line.startswith(b"#")


def _line_by_line(lines: list[bytes], first_line: int, path: Path) -> Iterator[tuple[int, Sentence]]:
    """The sentences of some lines; what is wrong is said with the number of its line."""
    words: Sentence = []
    number = line_of_word = first_line
    try:
        for number, content in enumerate(lines, start=first_line):
            line = content.decode("utf-8").rstrip("\r\n")
            if not line.strip():
                if words:
                    yield line_of_word, words
                words = []
            elif not line.startswith("#"):
                word = _word(line, path, number)
                if word is not None:
                    line_of_word = line_of_word if words else number
                    words.append(word)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}, line {number} is not UTF-8. Convert the file.") from None
    if words:
        yield line_of_word, words


def _word(line: str, path: Path, number: int) -> Word | None:
    columns = line.split("\t")
    if len(columns) != _COLUMNS:
        raise ConfigurationError(
            f"{path}, line {number}: a CoNLL-U line must have {_COLUMNS} columns separated by tabs. "
            f"Received: {len(columns)}{_reason(line)}."
        )
    word_id, form, _, upos, *_ = columns  # not conllu.parse_line, which splits forms at double blanks
    if not _is_word(word_id):
        if _is_word(word_id) is None:
            raise ConfigurationError(
                f"{path}, line {number}: the first column must be a word's number, a range 3-4 or an empty node 3.1. "
                f"Received: {_shortened(word_id)!r}."
            )
        return None
    if upos == "_":
        return None
    class_id = _CLASS_IDS.get(upos)
    if class_id is None:
        raise ConfigurationError(
            f"{path}, line {number}: unknown universal tag {_shortened(upos)!r}. Wanted: {' '.join(UPOS)}.{_hint(upos)}"
        )
    return Word(form, class_id)


@lru_cache(maxsize=4096)
def _is_word(word_id: str) -> bool | None:
    """Whether an id is that of a word, and not of a range or an empty node; None where it is no id."""
    try:
        return isinstance(parse_id_value(word_id), int)
    except (ParseException, ValueError):  # ValueError: a number of thousands of digits
        return None


def _reason(line: str) -> str:
    if "\r" in line:
        return ", with a carriage return inside the line; convert its line ends"
    return ", separated by blanks" if "\t" not in line and line.count(" ") >= _COLUMNS - 1 else ""


def _hint(upos: str) -> str:
    known = _OLD_TAGS.get(upos.upper(), upos.strip().upper())
    return f" Now written: {known}." if known in _CLASS_IDS else ""


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."
