"""What stops a command, said in one line."""

from __future__ import annotations

import tensorflow as tf

OUT_OF_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)
_LONGEST_NAME = 200


def one_line(error: Exception) -> str:
    """What the system refused, as one sentence."""
    if isinstance(error, tf.errors.ResourceExhaustedError) and "No space left" in str(error):
        return "No space left on device."
    if isinstance(error, OUT_OF_MEMORY):
        return "there is not enough memory. Make the network, the batches or the data smaller."
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{name[:_LONGEST_NAME]}."
    return " ".join(str(error).split())
