"""One process at a time writes to a run directory."""

from __future__ import annotations

import errno
import os
import socket
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from clrnn_tf.errors import ConfigurationError

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_LONGEST_HOLDER = 200


class LockedError(ConfigurationError):
    """Another process writes to a run directory."""


class RunLock:
    """Holds a run directory for this process; the system lets go of it when the process ends, however it ends.

    The lock is on the file `.lock`, which stays when the run has ended: were it removed, one process could lock the
    removed file and another the next one. On Windows, and on file systems without locks, nothing is held.

    Args:
      path: The run directory; made on entering if it is missing.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder, RunLock(Path(folder)):
      ...     (Path(folder) / ".lock").read_text().startswith("process")
      True
    """

    def __init__(self, path: Path) -> None:
        self._path, self._descriptor = path, -1

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
          LockedError: Another process has it; the message says which.
          ConfigurationError: The directory cannot be written.
        """
        # O_NOFOLLOW, as the file is emptied: a link there could point to anything.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path / ".lock", flags, 0o644)
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be written: {error.strerror}. Make it writable, or choose another directory."
            ) from None
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def _take(self) -> None:
        if sys.platform == "win32":  # msvcrt locks bytes against reading, so nobody could say who has them
            return
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, _LONGEST_HOLDER, 0).decode(errors="replace")
            raise LockedError(
                f"{self._path} is written by {' '.join(holder.split()) or 'another process'}. Wait until it has ended, "
                "or choose another directory with --out."
            ) from None
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            warnings.warn(f"{self._path} cannot be locked; start no second run in it.", stacklevel=3)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode(), 0)
