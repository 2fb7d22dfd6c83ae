"""Calls that are made once: to optimise a graph takes longer than to run it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_OFF = "disable_meta_optimizer"


@contextlib.contextmanager
def unoptimized() -> Iterator[None]:
    """Graphs are run as they are, in a block or in a function that this decorates; what they compute is the same.

    Example:
      >>> import tensorflow as tf
      >>> with unoptimized():
      ...     tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
      True
    """
    before = tf.config.optimizer.get_experimental_options().get(_OFF, False)
    tf.config.optimizer.set_experimental_options({_OFF: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OFF: before})
