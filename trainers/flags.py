"""Flags of the command line, made from the fields of settings dataclasses: `train.batch_size` is
``--train.batch-size``.

A flag takes the words up to the next one that starts with ``--``. Underscores and dashes are alike; names are never
abbreviated; of a repeated flag the last counts. Values are those of a YAML file: ranges and kinds are checked in one
place for both, `clrnn_tf.config.updated`.
"""

from __future__ import annotations

import argparse
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

# Flags of other commands, and what they are for.
_ELSEWHERE = {"--describe": "It shows a benchmark: python -m data_pipelines.NAME --describe."}
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
    def names(self) -> list[str]:
        """All that can be typed."""
        return [self.text, self.negative] if self.negative else [self.text]

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value."""
        return self.hint is bool

    def value(self, words: Sequence[str], name: str) -> object:
        """The value that the words after `name` (its text, or its negative) stand for, in the form of a YAML file.

        Raises:
          ConfigurationError: There are too few or too many.
        """
        if self.is_switch:
            require(not words, f"{name} takes no value. Received: {' '.join(words)}.")
            return name != self.negative
        many = [option for option in _options(self.hint) if typing.get_origin(option) is tuple]
        if many and [word.lower() for word in words] != ["none"]:
            return [_plain(word, typing.get_args(many[0])[0]) for word in words]
        require(len(words) > 0, f"{self.text} needs a value ({self.kind}). Received: none.")
        require(len(words) == 1, f"{self.text} takes one value. Received: {' '.join(words)}.")
        return _plain(words[0], self.hint)

    @property
    def kind(self) -> str:
        """What to type after it, for the help."""
        return "" if self.is_switch else "|".join(map(_kind_of, _options(self.hint)))


def flags_of(settings_type: type, *section: str) -> list[Flag]:
    """The flags of a settings dataclass, in the order of its fields."""
    hints, docs = typing.get_type_hints(settings_type), field_docs(settings_type)
    return [
        Flag((*section, field.name), hints[field.name], docs.get(field.name, ""))
        for field in dataclasses.fields(settings_type)
    ]


class _Store(argparse.Action):
    """Stores the value of a flag."""

    def __init__(self, flag: Flag, option_strings: Sequence[str], dest: str, default: object) -> None:
        # Any number of words: argparse's errors would say neither the kind that is wanted nor all that came.
        super().__init__(option_strings, dest, nargs="*", default=default)
        self._flag = flag

    def __call__(self, parser: object, namespace: object, values: object, option_string: str | None = None) -> None:
        words = [word.removeprefix(" ") for word in typing.cast(list[str], values)]
        setattr(namespace, self.dest, self._flag.value(words, str(option_string)))


def read(words: Sequence[str], flags: Iterable[Flag]) -> tuple[dict[str, object], list[str]]:
    """Values by nested name of the flags among the `words_of` a command, and the words that belong to none of them.

    Raises:
      ConfigurationError: A flag has too few or too many values.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for flag in flags:
        parser.add_argument(*flag.names, dest=".".join(flag.path), action=_Store, flag=flag)
    found, unknown = parser.parse_known_args(words)
    values: dict[str, typing.Any] = {}
    for path, value in vars(found).items():
        *section, name = path.split(".")
        (values.setdefault(section[0], {}) if section else values)[name] = value
    return values, unknown


def words_of(arguments: Iterable[str]) -> list[str]:
    """Command-line arguments for `read`: names with dashes, and values with a space before them.

    By hand: argparse takes the value `-1e-3` for a flag, and an unknown flag `--data.vectors-dir=my vectors` for a
    value. No word with a space before it is a flag.
    """
    words = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument in _HELP_WORDS:
            words.append("--help")
        elif name.startswith("--"):
            words += [name.replace("_", "-"), *([f" {value}"] if equals else [])]
        else:
            words.append(f" {argument}")
    return words


def refuse_unknown(unknown: Sequence[str], flags: Iterable[Flag]) -> None:
    """Refuse the first of the words that belong to no flag, and name the nearest flag.

    Raises:
      ConfigurationError: There is one.
    """
    if unknown:
        word, known = unknown[0], [name for flag in flags for name in flag.names]
        require(word.startswith("--"), f"a flag was expected first, such as --method. Received:{word}. See --help.")
        close = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
        advice = f"Did you mean {close[0]}?" if close else "--help lists the flags."
        raise ConfigurationError(f"unknown flag {word}. {_ELSEWHERE.get(word, advice)}")


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
