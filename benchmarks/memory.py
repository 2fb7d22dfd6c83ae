"""Peak memory of this process."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak start from the present size (Linux; elsewhere it stays the highest of the process's life)."""
    if _RESET.exists():
        _RESET.write_text("5", encoding="ascii")


def peak_mib() -> float:
    """Highest resident size since `forget_peak`, in MiB."""
    return next(_status("VmHWM"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def resident_mib() -> float:
    """Present resident size, in MiB (Linux)."""
    return next(_status("VmRSS"), float("nan"))


def _status(name: str) -> Iterator[float]:
    """A size of this process, in MiB; nothing where the system does not tell."""
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                yield int(line.split()[1]) / 1024
