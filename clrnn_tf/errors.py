"""Errors in settings and inputs, each of one line: what was wanted, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConfigurationError(Exception):
    """A setting or an input that cannot work; the message says what was wanted and what came.

    Not a `ValueError`, which the command-line parser would catch and print in a form of its own.
    """


def require(condition: bool, message: str) -> None:
    """Raise `ConfigurationError` with `message` unless `condition` holds."""
    if not condition:
        raise ConfigurationError(message)


def require_positive(**values: float) -> None:
    """Require every named value to be above zero."""
    for name, value in values.items():
        require(value > 0, f"{name} must be above 0. Received: {value}.")


def require_sizes(**sizes: tuple[int, ...]) -> None:
    """Require every named tuple of layer sizes to hold positive integers only."""
    for name, values in sizes.items():
        require(all(value > 0 for value in values), f"{name} must hold sizes above 0. Received: {values}.")


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence naming the known names closest to an unknown one."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f" Did you mean {' or '.join(close)}?" if close else f" Known: {', '.join(known)}."
