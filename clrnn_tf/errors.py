"""Errors in settings and inputs, each of one line: what was wanted, what came, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

_SHOWN = 12
_OF_TENSORFLOW = re.compile(r"\{\{[^}]*\}\} ?|' failed with .*$| ?\[Op:[^]]*\].*$")


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


def reason_of(error: object) -> str:
    """What TensorFlow says of an error, in one line and without names of its operations.

    Example:
      >>> from clrnn_tf.errors import reason_of
      >>> reason_of("{{node IteratorGetNext}} truncated record at 80 [Op:IteratorGetNext] name: ")
      'truncated record at 80'
    """
    first = next(iter(str(error).strip().splitlines()), "")
    return _OF_TENSORFLOW.sub("", first).strip().rstrip(".")


def shown(names: Collection[str]) -> str:
    """The first names, for messages.

    >>> shown(["on", "off"])
    'on, off'
    """
    return ", ".join([*list(names)[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence naming the known names closest to an unknown one."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f" Did you mean {' or '.join(close)}?" if close else f" Known: {', '.join(known)}."
