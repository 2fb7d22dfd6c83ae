"""Peak memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak start from the present size (Linux; elsewhere it stays the highest of the process's life)."""
    if _RESET.exists():
        _RESET.write_text("5", encoding="ascii")


def peak_mib() -> float:
    """Highest resident size since `forget_peak`, in MiB."""
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
