"""Keeps TensorFlow's notices out of what commands print."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def closed_stderr() -> Iterator[None]:
    """Nothing is written to standard error; exceptions still reach the caller."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed already
        yield
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load_tensorflow() -> None:
    """Import TensorFlow without the notices that it writes before its own log level applies."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with closed_stderr():
        import tensorflow as tf

        tf.zeros([]) + 1.0  # devices announce themselves when they are first used
