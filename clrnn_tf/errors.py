"""Errors in settings and inputs, each of one line: what was wanted, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConfigurationError(Exception):
    """A setting or an input that cannot work; the message says what was wanted and what came.

    Not a `ValueError`, which the command-line parser would catch and print in another form.

    Example:
      >>> from clrnn_tf import ConfigurationError, TrainConfig
      >>> try:
      ...     TrainConfig(steps=0)
      ... except ConfigurationError as error:
      ...     print(error)
      train.steps must be above 0. Received: 0.
    """


def require(condition: bool, message: str) -> None:
    """Raise `ConfigurationError` with `message` unless `condition` holds."""
    if not condition:
        raise ConfigurationError(message)


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence naming the known names closest to an unknown one."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f" Did you mean {' or '.join(close)}?" if close else f" Known: {', '.join(known)}."
