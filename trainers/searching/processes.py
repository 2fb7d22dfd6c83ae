"""The process of one run: started, watched, asked to stop, and never left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_END = 120.0  # a run answers after some steps, writes a checkpoint and ends
_LONGEST_TAIL = 4096


class Ended(NamedTuple):
    """How a process has ended."""

    code: int
    line: str
    """The last line that it wrote."""


def run_process(command: Sequence[str], log: Path, look: Callable[[], None]) -> Ended:
    """Run a command until it ends; what it writes goes to the end of `log`.

    Its standard input is a pipe that nothing is written to. It is closed when this process ends, so that the command
    can end as well.

    Args:
      command: The words.
      log: A text file.
      look: Called about ten times a second. When it raises, or this process is interrupted, the command is asked to
        stop, and waited for.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the search, which asks its runs to stop
        )
    try:
        while process.poll() is None:
            look()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        _end(process)
    return Ended(process.returncode, _last_line(log))


def _end(process: subprocess.Popen) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, os.path.getsize(log) - _LONGEST_TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    return written[-1] if written else ""
