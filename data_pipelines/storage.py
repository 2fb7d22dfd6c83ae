"""Where data lives: `--data-dir`, then `$CLRNN_DATA_DIR`, then what is embedded in the package."""

from __future__ import annotations

import os
from pathlib import Path

from clrnn_tf.errors import require

VARIABLE = "CLRNN_DATA_DIR"


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
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    require(Path(named).is_dir(), f"no such directory: {VARIABLE}={named}. Set it to an existing one, or unset it.")
    return Path(named)
