"""When, where and from which version of the code a run is made."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import clrnn_tf

_SECONDS = 10.0  # that a question to git may take


def origin() -> dict[str, str]:
    """The time (UTC), the name of the machine, and the commit of this package where it is a clone.

    A commit ends in `-dirty` where files have been changed since.
    """
    commit = commit_of(Path(clrnn_tf.__file__).parent)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    return {"began": began, "host": platform.node(), **({"commit": commit} if commit else {})}


def commit_of(package: Path) -> str | None:
    """The commit that is checked out; None where git is missing or does not track the package.

    An installed package may lie in the clone of another project, which does not track it.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git(package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(directory: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
