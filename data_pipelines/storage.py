"""The directory of the data: `--data-dir`, else `$CLRNN_DATA_DIR`, else what is embedded; and their fingerprint."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from clrnn_tf.errors import require

DATA_DIR_VARIABLE = "CLRNN_DATA_DIR"


def find_data_dir(option: Path | None) -> Path | None:
    """The directory of external data, or None for the embedded default.

    Args:
      option: Value of `--data-dir`.

    Raises:
      ConfigurationError: The directory that was named does not exist.
    """
    if option is not None:
        require(
            option.is_dir(), f"no such directory: --data-dir {option}. Name an existing one, or leave the option out."
        )
        return option
    named = os.environ.get(DATA_DIR_VARIABLE)
    if not named:
        return None
    require(
        Path(named).is_dir(),
        f"no such directory: {DATA_DIR_VARIABLE}={named}. Set it to an existing one, or unset it.",
    )
    return Path(named)


class DataWarning(UserWarning):
    """Something about the data that a user should know: files passed over, words without vectors, damaged lines."""


def warn(message: str) -> None:
    """Warn of something about the data, in one line."""
    warnings.warn(message, DataWarning, stacklevel=3)


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files in their order: the first 16 hexadecimal digits."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.name}\n{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]
