"""Files that are replaced whole: whoever reads one finds the old or the new content, also after a power failure.

A file is written beside its place, under its name and `.new`. It is brought to the disk and renamed. Then the directory
is brought to the disk, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_NOT_FOR_DIRECTORIES = (errno.EINVAL, errno.EOPNOTSUPP)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends; after an exception, `path` is as it was.

    Raises:
      OSError: It cannot be written.
    """
    beside = path.with_name(path.name + ".new")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file whole, or leave the old one unchanged."""
    with replaced(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Replace a text file whole, or leave the old one unchanged."""
    write_bytes(path, text.encode())


def sync_file(path: Path) -> int:
    """Bring a file to the disk; its size in bytes."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk, where the system can."""
    if sys.platform == "win32":  # directories cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_DIRECTORIES:
            raise
    finally:
        os.close(descriptor)
