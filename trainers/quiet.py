"""Loads TensorFlow without the notices that it writes to standard error before its own log level applies."""

from __future__ import annotations

import os
import sys


def load_tensorflow() -> None:
    """Import TensorFlow and touch its devices with standard error closed; errors still reach the caller."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.zeros([]) + 1.0
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
