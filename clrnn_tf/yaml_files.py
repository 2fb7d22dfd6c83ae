"""Reads settings from YAML files.

YAML 1.1 reads `no` as false, `1e-3` as text and `2026-11-25` as a date. Here, as in YAML 1.2, only `true` and `false`
are truth values, every number of Python's notation is a number, and dates are text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path

import yaml

from clrnn_tf.errors import ConfigurationError, require

LARGEST_FILE = 2**20
"""Bytes of the largest file that is read; settings of a run take a few thousand."""
DEEPEST = 20
"""Largest number of nested levels of lists and mappings."""

_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_BOOL = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"
_TAGS = {_INT, _FLOAT, _BOOL, _NULL, _STR, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_SCALARS = (
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_INT, r"[-+]?[0-9]{1,100}", "-+0123456789"),
    (_FLOAT, r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+0123456789."),
    (_FLOAT, r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)


class _Loader(yaml.SafeLoader):
    """Builds dictionaries, lists, strings, numbers and truth values; refuses aliases and duplicate names."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent) or getattr(self.peek_event(), "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not read; write the value out", problem_mark=_mark(self)
            )
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"there are more than {DEEPEST} levels", problem_mark=_mark(self))
        node = super().compose_node(parent, index)
        if node is not None and node.tag not in _TAGS:
            raise yaml.MarkedYAMLError(problem=f"values of type {node.tag} are not read", problem_mark=node.start_mark)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        names = set()
        for key, _ in node.value:
            if key.tag != _STR:
                raise yaml.MarkedYAMLError(problem="names of settings must be text", problem_mark=key.start_mark)
            if key.value in names:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is there twice", problem_mark=key.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep)


def _mark(loader: _Loader) -> yaml.Mark:
    return loader.peek_event().start_mark


for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), list(_first))


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    """Python writes `.inf` and `.nan` without the dot."""
    return float(loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor(_INT, _int)
_Loader.add_constructor(_FLOAT, _float)


def read_settings(path: Path) -> dict[str, object]:
    """Settings by name from a YAML file.

    Args:
      path: A file in UTF-8, of at most `LARGEST_FILE` bytes.

    Returns:
      Dictionaries by name, lists, strings, numbers, truth values and None.

    Raises:
      ConfigurationError: The file cannot be read, is malformed, has a name twice, an anchor, an alias, a tag of another
        kind, a name that is not text or more than `DEEPEST` levels, or holds something other than settings by name.
    """
    require(path.exists(), f"no such settings file: {path}.")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        require(
            len(content) <= LARGEST_FILE,
            f"{path} must be at most {LARGEST_FILE:,} bytes, as settings are. Received: a larger file.",
        )
        values = yaml.load(content.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigurationError(f"{path} is no YAML: {_in_one_line(error)}.") from None
    if values is None:
        return {}
    require(isinstance(values, dict), f"{path} must hold settings by name. Received: {type(values).__name__}.")
    return values


def _in_one_line(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark is not None:
        context = getattr(error, "context", None)
        return f"line {mark.line + 1}, column {mark.column + 1}: {f'{context}, ' if context else ''}{problem}"
    return " ".join(str(error).split())[:300].rstrip(".")
