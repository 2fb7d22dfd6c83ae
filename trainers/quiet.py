"""Starts TensorFlow without the notices that it writes to standard error before its own log level applies."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def load_tensorflow() -> None:
    """Import TensorFlow."""
    with closed_stderr():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def closed_stderr() -> Iterator[None]:
    """Nothing is written to standard error; exceptions still reach the caller."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
