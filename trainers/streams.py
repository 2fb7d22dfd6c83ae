"""Standard output and standard error: closed ones replaced, terminals that end, warnings in one line."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_OURS = ("clrnn_tf", "data_pipelines", "export", "trainers")


def replace_closed_streams() -> None:
    """Open the null device in place of standard streams that the caller closed (``2>&-``).

    Otherwise the next files that are opened would get their numbers, and notices would be written into them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115


def drop_output() -> None:
    """Send what is still to be written to standard output nowhere, so that Python can flush it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def forget_terminal() -> None:
    """Send what is still to be written to a terminal that is gone nowhere: writing to it would fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


class _Terminal(io.FileIO):
    """A terminal that may be closed while the command goes on, as after ``disown``."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            forget_terminal()
            return memoryview(data).nbytes


@contextlib.contextmanager
def outliving_terminal() -> Iterator[None]:
    """What is printed after the terminal is gone is dropped, and the command goes on."""
    before, terminals = (sys.stdout, sys.stderr), []
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        if isinstance(stream, io.TextIOWrapper) and stream.isatty():
            terminal = io.BufferedWriter(_Terminal(stream.fileno(), "w", closefd=False))
            terminals.append(io.TextIOWrapper(terminal, stream.encoding, stream.errors, line_buffering=True))
            setattr(sys, name, terminals[-1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in terminals:
            stream.flush()


def unencodable_as_escapes() -> None:
    """Print characters that the terminal's encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Warnings of our packages are one line on standard error: ``warning: ...``."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            ours = category.__module__.partition(".")[0] in _OURS or _is_ours(filename)
            if ours and issubclass(category, UserWarning):
                print(f"warning: {' '.join(str(message).split())}", file=sys.stderr, flush=True)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _is_ours(filename: str) -> bool:
    root = Path(__file__).parent.parent
    path = Path(filename)
    return path.is_relative_to(root) and path.relative_to(root).parts[0] in _OURS
