"""Licences of treebanks, as the files beside them state them: a README of Universal Dependencies, or a licence text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_MOST_CHARACTERS = 20_000  # a licence says at its beginning what it is
_README_LINE = re.compile(r"^License: *(.+?) *$", re.MULTILINE)
_ADDRESS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
_SHORT = re.compile(r"\bCC[ -](BY(?:-[A-Z]{2})*)[ -](\d\.\d)")
_TITLE = re.compile(r"\b(Attribution(?:-[A-Za-z]+)*) (\d\.\d)")
_ELEMENTS = {"Attribution": "BY", "NonCommercial": "NC", "ShareAlike": "SA", "NoDerivatives": "ND", "NoDerivs": "ND"}
_GPL = re.compile(r"GNU (LESSER )?GENERAL PUBLIC LICENSE\s+(?:VERSION )?(\d)", re.IGNORECASE)
_UNKNOWN = "not stated beside the files"


def licence_of(directory: Path) -> str | None:
    """The licence that the files of a treebank's directory state; None where none says which.

    Where several are named (a treebank may have parts), all are, in the order in which they stand there.

    Example:
      >>> import tempfile
      >>> from data_pipelines.treebank_licences import licence_of
      >>> with tempfile.TemporaryDirectory() as name:
      ...     _ = (Path(name) / "README.md").write_text("License: CC BY-SA 4.0")
      ...     licence_of(Path(name))
      'CC BY-SA 4.0'
    """
    texts = {path: _beginning(path) for path in sorted(directory.iterdir()) if path.is_file() and _may_say(path)}
    for path, text in texts.items():
        if path.name.upper().startswith("README") and (stated := _README_LINE.search(text)):
            return stated[1]
    named = [name for path, text in texts.items() if path.name.upper().startswith("LICEN") for name in _named(text)]
    return ", ".join(dict.fromkeys(named)) or None


def licences_in_words(directories: Mapping[str, Path]) -> str:
    """What is true of all, in a line: `CC BY-SA 4.0 (UD_Danish-DDT); CC BY-NC-SA 4.0 (UD_English-GUM)`.

    Args:
      directories: By the name of the treebank.
    """
    treebanks: dict[str, list[str]] = {}
    for name, directory in directories.items():
        treebanks.setdefault(licence_of(directory) or _UNKNOWN, []).append(name)
    if len(treebanks) == 1:
        return next(iter(treebanks))
    return "; ".join(f"{licence} ({', '.join(names)})" for licence, names in treebanks.items())


def _may_say(path: Path) -> bool:
    return path.name.upper().startswith(("README", "LICEN")) and path.suffix.lower() in ("", ".txt", ".md")


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_CHARACTERS)
    except OSError:
        return ""


def _named(text: str) -> Iterable[str]:
    """Licences in a text, by the first way of naming them that is found."""
    addresses = [f"CC {elements.upper()} {version}" for elements, version in _ADDRESS.findall(text)]
    shorts = [f"CC {elements} {version}" for elements, version in _SHORT.findall(text)]
    titles = [f"CC {_short(title)} {version}" for title, version in _TITLE.findall(text)]
    gpl = [f"{'L' if lesser else ''}GPL {version}" for lesser, version in _GPL.findall(text)]
    return titles or addresses or shorts or gpl


def _short(title: str) -> str:
    """Of `Attribution-NonCommercial-ShareAlike`, `BY-NC-SA`."""
    return "-".join(_ELEMENTS.get(word, word) for word in title.split("-"))
