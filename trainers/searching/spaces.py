"""Values among which a search chooses: ``hnet.strength=log:0.1:100``.

    NAME=log:LOW:HIGH        numbers between two bounds, their logarithm uniform
    NAME=linear:LOW:HIGH     numbers between two bounds, uniform
    NAME=VALUE,VALUE,...     certain values, as they are typed after a flag: `none`, `true`, `64 32`

Numbers of settings that are whole are whole. A grid takes `POINTS` of a range, written `log:LOW:HIGH:POINTS`.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clrnn_tf.config import Experiment, updated
from clrnn_tf.errors import ConfigurationError, nearest, require
from trainers.flags import Flag
from trainers.settings import sections

SYNTAX = "NAME=log:LOW:HIGH, NAME=linear:LOW:HIGH or NAME=VALUE,VALUE"
_POINTS = 4  # of a range in a grid, unless its number is given
_DIGITS = 3  # of the numbers that are tried: more say nothing


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, which are among them.

    Example:
      >>> Range("train.learning_rate", 1e-4, 1e-2, logarithmic=True, points=3).grid()
      (0.0001, 0.001, 0.01)
    """

    name: str
    """The setting, with its section."""
    low: float
    high: float
    logarithmic: bool
    """Whether the logarithm is uniform, instead of the number."""
    whole: bool = False
    """Whether only whole numbers are meant."""
    points: int = _POINTS
    """Numbers in a grid."""

    def __str__(self) -> str:
        kind = "log" if self.logarithmic else "linear"
        points = f":{self.points}" if self.points != _POINTS else ""
        return f"{self.name}={kind}:{self.low:g}:{self.high:g}{points}"

    def grid(self) -> tuple[float, ...]:
        """`points` numbers from the lowest to the highest, at equal distances (of the logarithm)."""
        spaced = np.geomspace if self.logarithmic else np.linspace
        return tuple(dict.fromkeys(self.value(number) for number in spaced(self.low, self.high, self.points)))

    def value(self, number: object) -> Any:
        """A number of the range as the setting takes it: of three digits, or whole."""
        number = float(typing.cast(float, number))
        return round(number) if self.whole else min(max(rounded(number), self.low), self.high)

    def contains(self, value: object) -> bool:
        """Whether a value of the setting is among them."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """Certain values of a setting."""

    name: str
    """The setting, with its section."""
    texts: tuple[str, ...]
    """The values as they are typed after a flag."""
    values: tuple[object, ...]
    """The same as a YAML file has them."""

    def __str__(self) -> str:
        return f"{self.name}={','.join(self.texts)}"

    def value(self, text: object) -> object:
        """The value that a text stands for."""
        return self.values[self.texts.index(str(text))]

    def text_of(self, value: object) -> str:
        """The text of a value that is among them."""
        return self.texts[self.values.index(_plain(value))]

    def contains(self, value: object) -> bool:
        """Whether a value of the setting is among them."""
        return _plain(value) in self.values


Space = Range | Choices


def rounded(number: float) -> float:
    """A number of three digits."""
    return float(f"{number:.{_DIGITS}g}")


def parse_space(text: str, experiment: Experiment) -> Space:
    """The values that a text stands for.

    Args:
      text: See the module.
      experiment: Has the setting; what the text says must be values that it can take.

    Raises:
      ConfigurationError: The text is malformed, the setting unknown, or a value not allowed; or there is only one.
    """
    name, equals, values = text.partition("=")
    require(bool(equals and values), f"--space needs {SYNTAX}. Received: {text}.")
    flag = _flag(name.strip().replace("-", "_").lstrip("_"), experiment)
    kind, *bounds = values.split(":")
    space = _range(text, flag, kind, bounds) if kind in ("log", "linear") else _choices(text, flag, values.split(","))
    tried = space.grid() if isinstance(space, Range) else space.values
    for value in tried:
        applied(experiment, {space.name: value})
    return space


def parse_spaces(texts: Sequence[str], experiment: Experiment) -> tuple[Space, ...]:
    """The values that texts stand for, of one setting each.

    Raises:
      ConfigurationError: As `parse_space`; or two texts are about one setting.
    """
    spaces = tuple(parse_space(text, experiment) for text in texts)
    names = [space.name for space in spaces]
    twice = [name for name in names if names.count(name) > 1]
    require(not twice, f"--space must name a setting once. Received: {', '.join(dict.fromkeys(twice))} twice.")
    return spaces


def applied(experiment: Experiment, values: Mapping[str, object]) -> Experiment:
    """The experiment with values by dotted name.

    Raises:
      ConfigurationError: A value is not allowed, alone or with the others.
    """
    nested: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        section, _, field = name.partition(".")
        nested.setdefault(section, {})[field] = value
    return updated(experiment, nested)


def present(experiment: Experiment, name: str) -> object:
    """The value of a setting by its dotted name."""
    section, _, field = name.partition(".")
    return getattr({name: value for name, value, _ in sections(experiment)}[section], field)


def _flag(name: str, experiment: Experiment) -> Flag:
    flags = {".".join(flag.path): flag for _, _, of_section in sections(experiment) for flag in of_section}
    require(name in flags, f"--space has an unknown setting '{name}'.{_near(name, flags)}")
    return flags[name]


def _near(name: str, flags: Mapping[str, Flag]) -> str:
    close = nearest(name, flags)
    return close if "Did you mean" in close else " --help with --method lists the settings."


def _range(text: str, flag: Flag, kind: str, bounds: Sequence[str]) -> Range:
    require(len(bounds) in (2, 3), f"--space needs {SYNTAX}. Received: {text}.")
    try:
        low, high, points = float(bounds[0]), float(bounds[1]), int(bounds[2]) if len(bounds) == 3 else _POINTS
    except ValueError:
        raise ConfigurationError(f"--space needs numbers as bounds. Received: {text}.") from None
    require(math.isfinite(low) and math.isfinite(high), f"--space needs finite bounds. Received: {text}.")
    require(
        low < high and points > 1,
        f"--space must leave a choice: at least two values, the lowest first. Received: {text}.",
    )
    require(kind != "log" or low > 0, f"--space needs bounds above 0 for log. Received: {text}.")
    options = typing.get_args(flag.hint) or (flag.hint,)
    require(
        int in options or float in options,
        f"{flag.text} takes no numbers; --space needs NAME=VALUE,VALUE. Received: {text}.",
    )
    whole = float not in options
    require(
        not whole or (low.is_integer() and high.is_integer()),
        f"--space needs whole numbers as bounds of {flag.text}. Received: {text}.",
    )
    return Range(".".join(flag.path), low, high, kind == "log", whole, points)


def _choices(text: str, flag: Flag, texts: Sequence[str]) -> Choices:
    texts = [text.strip() for text in texts]
    require(len(set(texts)) > 1 and all(texts), f"--space must leave a choice: at least two values. Received: {text}.")
    require(len(set(texts)) == len(texts), f"--space must name a value once. Received: {text}.")
    return Choices(".".join(flag.path), tuple(texts), tuple(_value(flag, text) for text in texts))


def _value(flag: Flag, text: str) -> object:
    if flag.is_switch:
        require(text in ("true", "false"), f"{flag.text} must be true or false in --space. Received: {text}.")
        return text == "true"
    return flag.value(text.split(), flag.text)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def as_typed(value: object) -> str:
    """A value of a setting in a table."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def choices_of(space: Space) -> Choices:
    """The values that a grid tries."""
    if isinstance(space, Choices):
        return space
    numbers = space.grid()
    return Choices(space.name, tuple(f"{number:g}" for number in numbers), numbers)


def is_of(spaces: Sequence[Space], experiment: Experiment) -> bool:
    """Whether the experiment's own values are in the spaces."""
    return all(space.contains(present(experiment, space.name)) for space in spaces)
