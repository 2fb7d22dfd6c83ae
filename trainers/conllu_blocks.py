"""CoNLL-U files whose column of universal tags is filled in, and in which every other byte stays as it is."""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clrnn_tf.errors import ConfigurationError, require

_COLUMNS, _FORM, _UPOS = 10, 1, 3
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_WORD = re.compile(rb"\d+[-.]\d+")  # a range of words, an empty node


@dataclass
class Block:
    """A sentence: its lines up to the next sentence, and its words."""

    lines: list[bytes] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """Index of each word's line."""

    @property
    def tags(self) -> list[str]:
        """What is in the fourth column of each word: its tag, or `_` for none."""
        return [self.lines[place].split(b"\t")[_UPOS].decode(errors="replace") for place in self.places]

    def filled(self, tags: Sequence[str]) -> bytes:
        """The lines, with these tags of the words in the fourth column."""
        lines = list(self.lines)
        for place, tag in zip(self.places, tags, strict=True):
            columns = lines[place].split(b"\t")
            columns[_UPOS] = tag.encode()
            lines[place] = b"\t".join(columns)
        return b"".join(lines)


@dataclass
class Agreement:
    """How many words had a tag, and how many of these tags stay the same."""

    given: int = 0
    same: int = 0

    def count(self, sentences: Sequence[Block], tags: Sequence[Sequence[str]]) -> None:
        """Add the words of sentences, with their new tags."""
        for sentence, new in zip(sentences, tags, strict=True):
            pairs = [(old, tag) for old, tag in zip(sentence.tags, new, strict=True) if old not in ("_", "")]
            self.given += len(pairs)
            self.same += sum(old == tag for old, tag in pairs)

    def __str__(self) -> str:
        share = 100 * self.same / self.given
        return f"{self.given:,} words had a tag; {share:.2f} % of these tags are the same now."


def read_blocks(path: Path) -> Iterator[Block]:
    """The sentences of a CoNLL-U file, plain or gzipped; `-` is standard input.

    Raises:
      ConfigurationError: A line is malformed, or the file cannot be read.
    """
    if str(path) == "-":
        yield from blocks(sys.stdin.buffer, "standard input")
        return
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            yield from blocks(gzip.GzipFile(fileobj=raw) if packed else raw, str(path))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigurationError(f"{path} cannot be read: {reason}.") from None


def blocks(lines: Iterable[bytes], name: str) -> Iterator[Block]:
    """The sentences in lines of CoNLL-U; together they have every line.

    Args:
      lines: With their ends.
      name: Of the file, for messages.
    """
    block = Block()
    for number, line in enumerate(lines, start=1):
        content = line.rstrip(b"\r\n").removeprefix(_BYTE_ORDER_MARK)
        block.lines.append(line)
        if not content.strip():
            yield block
            block = Block()
        elif not content.startswith(b"#"):
            columns = content.split(b"\t")
            _check(columns, content, f"{name}, line {number}")
            if columns[0].isdigit():
                block.places.append(len(block.lines) - 1)
                block.words.append(_text(columns[_FORM], f"{name}, line {number}"))
    if block.lines:
        yield block


def _check(columns: Sequence[bytes], content: bytes, where: str) -> None:
    require(b"\0" not in content, f"{where} holds NUL bytes: the file is binary or UTF-16. Convert it to UTF-8.")
    require(
        len(columns) == _COLUMNS,
        f"{where}: a CoNLL-U line must have {_COLUMNS} columns separated by tabs. Received: {len(columns)}.",
    )
    require(
        columns[0].isdigit() or _NO_WORD.fullmatch(columns[0]) is not None,
        f"{where}: the first column must be a word's number, a range 3-4 or an empty node 3.1. "
        f"Received: {columns[0][:40].decode(errors='replace')!r}.",
    )


def _text(form: bytes, where: str) -> str:
    try:
        return form.decode() or "_"
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where} is not UTF-8. Convert the file.") from None
