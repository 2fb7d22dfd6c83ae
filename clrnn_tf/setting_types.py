"""Types of settings: whether a value has the type of its field, and plain values turned into it."""

from __future__ import annotations

import numbers
import sys
import types
import typing
from pathlib import Path
from typing import Annotated, Literal

from clrnn_tf.errors import ConfigurationError, require

_LARGEST = 2**31 - 1


def require_type(value: object, hint: object, label: str) -> None:
    """Require that a setting has the type of its field; a number may be NumPy's, and a whole one stand for any.

    Args:
      value: The setting.
      hint: The type.
      label: Name of the setting.

    Raises:
      ConfigurationError: It has another type.

    Example:
      >>> require_type("10", int | None, "train.steps")
      Traceback (most recent call last):
      clrnn_tf.errors.ConfigurationError: train.steps must be of type int or None. Received: '10'.
    """
    require(_has_type(value, hint), f"{label} must be {named_type(hint)}. Received: {value!r}.")


def require_int32(value: object, label: str) -> None:
    """Require that a setting, where it is a whole number, fits into the int32 tensor that it becomes."""
    fits = not isinstance(value, numbers.Integral) or abs(int(value)) <= _LARGEST
    require(fits, f"{label} must be in [-{_LARGEST}, {_LARGEST}]. Received: {value}.")


def named_type(hint: object) -> str:
    """What a value of a type is, as in "must be of type int or None", or "must be auto, on or off"."""
    options = [option for option in _options(hint) if typing.get_origin(option) is Literal]
    values = [str(value) for option in options for value in typing.get_args(option)]
    values += ["None"] * (type(None) in _options(hint))
    if options:
        return f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else values[0]
    return f"of type {' or '.join(_name(option) for option in _options(hint))}"


def _options(hint: object) -> tuple[object, ...]:
    """The types of a union; one type alone otherwise."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _name(hint: object) -> str:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Annotated:
        return _name(arguments[0])
    if typing.get_origin(hint) is tuple:
        return f"tuple of {named_type(arguments[0]).removeprefix('of type ')}"
    return "None" if hint is type(None) else getattr(hint, "__name__", str(hint))


def _has_type(value: object, hint: object) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_has_type(value, option) for option in arguments)
    if origin is Annotated:
        return _has_type(value, arguments[0])
    if origin is Literal:
        return any(type(value) is type(known) and value == known for known in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_has_type(item, arguments[0]) for item in value)
    if hint in (int, float):
        kind = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def converted(value: object, hint: object, label: str) -> object:
    """`value` as the type that `hint` asks for, or an error that names both."""
    for option in _options(hint):
        origin, arguments = typing.get_origin(option), typing.get_args(option)
        if option is type(None) and value is None:
            return None
        if origin is Literal and value in arguments:
            return value
        if origin is tuple and isinstance(value, (list, tuple)):
            return tuple(converted(item, arguments[0], label) for item in value)
        if option is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            require(abs(value) <= sys.float_info.max, f"{label} must be a finite number. Received: {value}.")
            return float(value)
        if option in (Path, str) and isinstance(value, (Path, str)):
            require(str(value).isprintable(), f"{label} must be printable text. Received: {str(value)!r}.")
            return Path(value) if option is Path else str(value)
        if isinstance(option, type) and type(value) is option:
            require_int32(value, label)
            return value
    raise ConfigurationError(f"{label} must be {named_type(hint)}. Received: {value!r}.")
