"""Types and ranges of settings, declared together: ``strength: NonNegative = 0.01``.

A settings dataclass that derives from `Settings` refuses values of other types, and numbers outside the ranges of its
fields, when it is made. Errors name the setting as files and the command line do:
`hnet.strength must not be negative. Received: -1.0.`
"""

from __future__ import annotations

import math
import numbers
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from clrnn_tf.errors import require
from clrnn_tf.setting_types import require_int32, require_type


@dataclass(frozen=True)
class Range:
    """Numbers that a setting may have; all given bounds must hold."""

    above: float = -math.inf
    least: float = -math.inf
    below: float = math.inf
    most: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.above < value < self.below and self.least <= value <= self.most

    def __str__(self) -> str:
        """What a value must be, as in "must be above 0"."""
        if self.below == self.most == math.inf:
            if self.least == 0:
                return "not be negative"
            return f"be above {self.above:g}" if self.least == -math.inf else f"be at least {self.least:g}"
        low = f"({self.above:g}" if self.least == -math.inf else f"[{self.least:g}"
        return f"be in {low}, " + (f"{self.below:g})" if self.most == math.inf else f"{self.most:g}]")


Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Fraction = Annotated[float, Range(least=0, below=1)]
"""In [0, 1)."""
Share = Annotated[float, Range(least=0, most=1)]
"""In [0, 1]."""
PositiveInt = Annotated[int, Range(above=0)]
NonNegativeInt = Annotated[int, Range(least=0)]


class Settings:
    """Base of settings dataclasses: values have the types of their fields; numbers are finite and in their ranges.

    A subclass may also refuse combinations, in its `__post_init__`, which calls that of this class first.

    Example:
      >>> @dataclass(frozen=True)
      ... class Config(Settings):
      ...     section = "mine"
      ...     strength: NonNegative = 0.01
      >>> Config(strength=-1.0)
      Traceback (most recent call last):
      clrnn_tf.errors.ConfigurationError: mine.strength must not be negative. Received: -1.0.
    """

    section: ClassVar[str] = ""
    """Name of the settings in files and on the command line; the name of the module where it is empty."""

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self), include_extras=True).items():
            if typing.get_origin(hint) is not ClassVar:
                self._check(name, hint)

    def label(self, name: str) -> str:
        """Name of a setting in error messages."""
        return f"{type(self).section or type(self).__module__.rpartition('.')[2]}.{name}"

    def _check(self, name: str, hint: object) -> None:
        value = getattr(self, name)
        require_type(value, hint, self.label(name))
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            require_int32(item, self.label(name))
            finite = not isinstance(item, numbers.Real) or math.isfinite(item)
            require(finite, f"{self.label(name)} must be a finite number. Received: {item}.")
        if value is None:
            return
        allowed = next(_ranges(hint), None)
        if allowed is None:
            return
        wanted = f"hold sizes {str(allowed).removeprefix('be ')}" if isinstance(value, tuple) else str(allowed)
        optional = ", or None" if type(None) in typing.get_args(hint) else ""
        require(
            all(item in allowed for item in items),
            f"{self.label(name)} must {wanted}{optional}. Received: {value}.",
        )


def _ranges(hint: object) -> Iterator[Range]:
    """The ranges in the type of a field: of the number itself, of one in a union, or of the items of a tuple."""
    if typing.get_origin(hint) is Annotated:
        yield from (item for item in typing.get_args(hint) if isinstance(item, Range))
    elif typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
        for option in typing.get_args(hint):
            yield from _ranges(option)
