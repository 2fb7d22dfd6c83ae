"""Lines of text files, plain or gzipped, with or without byte order marks; files of other kinds are refused."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from clrnn_tf.errors import ConfigurationError, require

LONGEST_LINE = 2**22
"""Bytes of the longest line that is read."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_OTHER_KINDS = (
    (b"\xff\xfe", "is UTF-16 text. Convert the file to UTF-8"),
    (b"\xfe\xff", "is UTF-16 text. Convert the file to UTF-8"),
    (b"version https://git-lfs", "is a pointer of Git LFS and not the file itself. Fetch it with git lfs pull"),
    (b"<!doctype", "is a web page; the download went wrong. Fetch the file again"),
    (b"<html", "is a web page; the download went wrong. Fetch the file again"),
    (b"PK\x03\x04", "is a zip archive. Unpack it"),
    (b"BZh", "is compressed by bzip2. Unpack it"),
    (b"\xfd7zXZ", "is compressed by xz. Unpack it"),
)


def expanded_limit(compressed_size: int) -> int:
    """Bytes that a compressed file of text or vectors may unpack to; a file with more is refused as a zip bomb.

    Treebanks shrink to a tenth, vectors to a third.
    """
    return max(2**24, 200 * compressed_size)


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file, counted from 1, with their line ends and without byte order marks.

    A file that ends in `.gz` or begins as gzip does is unpacked. A byte order mark may begin any line, as it does in
    files joined from several.

    Raises:
      ConfigurationError: The file is missing, damaged, of another kind, or has a line above `LONGEST_LINE`.
    """
    try:
        with path.open("rb") as raw:
            packed = path.suffix == ".gz" or raw.peek(2)[:2] == _GZIP
            limit = expanded_limit(path.stat().st_size)
            file = io.BufferedReader(gzip.GzipFile(fileobj=raw), 2**16) if packed else raw
            _refuse_other_kinds(path, file.peek(1024)[:1024])
            expanded = 0
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), start=1):
                expanded += len(line)
                if packed and expanded > limit:  # not `require`: its messages would be made for every line
                    raise ConfigurationError(
                        f"{path} unpacks to more than {limit:,} bytes. Text shrinks to a third or a tenth, not to less "
                        "than a hundredth."
                    )
                if len(line) >= LONGEST_LINE:
                    raise ConfigurationError(f"{path}, line {number} must be shorter than {LONGEST_LINE:,} bytes.")
                yield number, line.removeprefix(_BYTE_ORDER_MARK)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path} cannot be read: {' '.join(str(error).split())}.") from None


def require_text(path: Path) -> None:
    """Refuse a file that begins as other kinds do: archives, web pages, UTF-16, pointers of Git LFS.

    Raises:
      ConfigurationError: It is of another kind; the message says what to do.
    """
    with path.open("rb") as file:
        _refuse_other_kinds(path, file.read(1024))


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    start = head.lstrip().lower()
    for magic, what in _OTHER_KINDS:
        require(not head.startswith(magic) and not start.startswith(magic), f"{path} {what}.")
    require(
        b"\0" not in head, f"{path} must be UTF-8 text. Received: a file with NUL bytes, which is binary or UTF-16."
    )
