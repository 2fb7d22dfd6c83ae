"""Flags of the command line, made from the fields of settings dataclasses: `train.batch_size` is
``--train.batch-size``.

A flag takes the words up to the next one that starts with ``--``, or one value after ``=``. Underscores and dashes are
alike; names are never abbreviated; of a repeated flag the last counts. Values are those of a YAML file: ranges and
kinds are checked in one place for both, `clrnn_tf.config.updated`.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from clrnn_tf.errors import ConfigurationError, require

_HELP_WORDS = ("-h", "--h", "-help")


@dataclass(frozen=True)
class Flag:
    """One setting as a flag."""

    path: tuple[str, ...]
    """Where the setting is, e.g. `("train", "batch_size")`."""
    hint: object
    """Type of the setting."""
    help: str
    """Docstring of the field."""

    @property
    def text(self) -> str:
        """As it is typed."""
        return "--" + ".".join(self.path).replace("_", "-")

    @property
    def negative(self) -> str | None:
        """What is typed to switch it off, of a setting that is on or off."""
        if not self.is_switch:
            return None
        *sections, name = self.path
        return "--" + ".".join([*sections, f"no-{name}"]).replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value."""
        return self.hint is bool

    @property
    def takes_many(self) -> bool:
        """Whether it takes any number of values."""
        return any(typing.get_origin(option) is tuple for option in _options(self.hint))

    def value(self, words: Sequence[str]) -> object:
        """The value that words stand for, in the form of a YAML file.

        Raises:
          ConfigurationError: There are too few or too many.
        """
        if self.is_switch:
            require(not words, f"{self.text} takes no value. Received: {' '.join(words)}.")
            return True
        if self.takes_many and [word.lower() for word in words] != ["none"]:
            (many,) = (option for option in _options(self.hint) if typing.get_origin(option) is tuple)
            return [_plain(word, typing.get_args(many)[0]) for word in words]
        require(len(words) > 0, f"{self.text} needs a value ({self.kind}). Received: none.")
        require(len(words) == 1, f"{self.text} takes one value. Received: {' '.join(words)}.")
        return _plain(words[0], self.hint)

    @property
    def kind(self) -> str:
        """What to type after it, for the help."""
        return "" if self.is_switch else "|".join(map(_kind_of, _options(self.hint)))


@dataclass(frozen=True)
class Given:
    """A flag as it was typed."""

    word: str
    words: tuple[str, ...]
    """What came after it."""

    @property
    def name(self) -> str:
        """With dashes."""
        return self.word.replace("_", "-")


def split(arguments: Iterable[str]) -> list[Given]:
    """The flags in command-line arguments, with their values.

    Raises:
      ConfigurationError: There is a value before the first flag.
    """
    found: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument in _HELP_WORDS:
            found.append(("--help", []))
        elif argument.startswith("--"):
            name, equals, value = argument.partition("=")
            found.append((name, [value] if equals else []))
        else:
            require(bool(found), f"a flag was expected first, such as --method. Received: {argument}. See --help.")
            found[-1][1].append(argument)
    return [Given(name, tuple(words)) for name, words in found]


def flags_of(settings_type: type, *section: str) -> list[Flag]:
    """The flags of a settings dataclass, in the order of its fields."""
    hints, docs = typing.get_type_hints(settings_type), field_docs(settings_type)
    return [
        Flag((*section, field.name), hints[field.name], docs.get(field.name, ""))
        for field in dataclasses.fields(settings_type)
    ]


def values_of(given: Iterable[Given], flags: Sequence[Flag]) -> tuple[dict[str, object], list[Given]]:
    """Values by nested name of the flags that are known, and the flags that are not."""
    on = {flag.text: flag for flag in flags}
    off = {flag.negative: flag for flag in flags if flag.negative}
    values: dict[str, object] = {}
    unknown = []
    for each in given:
        if each.name in on:
            _put(values, on[each.name].path, on[each.name].value(each.words))
        elif each.name in off:
            require(not each.words, f"{each.word} takes no value. Received: {' '.join(each.words)}.")
            _put(values, off[each.name].path, False)
        else:
            unknown.append(each)
    return values, unknown


def refuse_unknown(unknown: Sequence[Given], flags: Iterable[Flag]) -> None:
    """Refuse the first of unknown flags, and name the nearest known ones.

    Raises:
      ConfigurationError: There is one.
    """
    if unknown:
        known = [text for flag in flags for text in (flag.text, flag.negative) if text]
        close = difflib.get_close_matches(unknown[0].name, known, n=1, cutoff=0.7)
        advice = f"Did you mean {close[0]}?" if close else "--help lists the flags."
        raise ConfigurationError(f"unknown flag {unknown[0].word}. {advice}")


def field_docs(settings_type: type) -> dict[str, str]:
    """The docstrings below the fields of a dataclass and of its bases, each in one line."""
    return {name: text for base in reversed(settings_type.__mro__) for name, text in _docs_in_source(base)}


def _docs_in_source(settings_type: type) -> Iterator[tuple[str, str]]:
    if not dataclasses.is_dataclass(settings_type):
        return
    try:
        source = inspect.getsource(settings_type)
    except (OSError, TypeError):  # made at run time, or installed without its source
        return
    (definition,) = ast.parse(textwrap.dedent(source)).body
    if isinstance(definition, ast.ClassDef):
        for field, text in itertools.pairwise(definition.body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                yield ast.unparse(field.target), " ".join(str(text.value.value).split())


def _options(hint: object) -> tuple[object, ...]:
    """The alternatives of a union; None comes last."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,)
    return tuple(sorted(typing.get_args(hint), key=lambda option: option is type(None)))


def _kind_of(option: object) -> str:
    if option is type(None):
        return "none"
    if typing.get_origin(option) is Literal:
        return "|".join(map(str, typing.get_args(option)))
    if typing.get_origin(option) is tuple:
        return f"{_kind_of(typing.get_args(option)[0])} ..."
    return {int: "INT", float: "FLOAT", str: "NAME"}.get(option, getattr(option, "__name__", str(option)).upper())  # type: ignore[call-overload]


def _plain(word: str, hint: object) -> object:
    """A word as a number or None where the setting can be one; else, the word."""
    options = _options(hint)
    if type(None) in options and word.lower() == "none":
        return None
    for number in (int, float):
        if number in options:
            try:
                return number(word)
            except ValueError:
                continue
    return word


def _put(values: dict[str, object], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})  # type: ignore[assignment]
    values[path[-1]] = value
