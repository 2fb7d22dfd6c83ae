"""What all figures need: names that fit and are drawn as they are, and that no figure ends a run."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
_GAP = "…"
_END = 3  # the share of a shortened name that is its end: one in three


def letters_of(name: str) -> int:
    """How many Latin letters a name is as wide as: letters of East Asia count twice, combining marks not at all.

    >>> letters_of("go"), letters_of("東京")
    (2, 4)
    """
    return sum(map(_width, name))


def shortened(name: object, most: int) -> str:
    r"""A name for a figure: one line of at most `most` letters, with an ellipsis in the place of what is left out.

    Matplotlib shows it letter by letter: what stands between two `$` would be set as a formula otherwise.

    >>> shortened("bearing must be replaced within a week", 20)
    'bearing must…a week'
    >>> shortened("5 $ or 6 $", 20)
    '5 \\$ or 6 \\$'
    """
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in str(name)).split())
    if letters_of(plain) > most or len(plain) > 4 * most:  # a pile of combining marks has no width, and no end
        end = max(0, (most - 1) // _END)
        head = _fitting(plain, most - 1 - end).rstrip()
        tail = _fitting(plain[::-1], end)[::-1].lstrip()
        plain = f"{head}{_GAP}{tail}"
    return plain.replace("$", r"\$")


def short_names(names: Sequence[object], most: int) -> list[str]:
    """Names for a figure, shortened; names that differ still differ, by their number if by nothing else.

    >>> short_names(["one of the pumps (left, front)", "one of the fans (left, front)", "pump"], 14)
    ['one of…nt) (1)', 'one of…nt) (2)', 'pump']
    """
    most = max(most, len(f" ({len(names)})") + 2)
    short = [shortened(name, most) for name in names]
    of_short: dict[str, set[str]] = {}
    for name, label in zip(names, short, strict=True):
        of_short.setdefault(label, set()).add(str(name))
    for number, name in enumerate(names, start=1):
        if len(of_short[short[number - 1]]) > 1:
            mark = f" ({number})"
            short[number - 1] = shortened(name, most - len(mark)) + mark
    return short


def attempted(draw: Callable[[], _T], what: str) -> _T | None:
    """What `draw` returns; None, with a warning, where it fails: a figure must not end a run.

    Letters that the font of a figure does not have are no reason to warn: a page shows them in its own.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            return draw()
    except Exception as error:
        warnings.warn(f"no figure of {what}: {type(error).__name__}: {error}", stacklevel=2)
        return None


def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _fitting(text: str, most: int) -> str:
    """The beginning of a text that is as wide as at most `most` letters."""
    width = 0
    for number, letter in enumerate(text):
        width += _width(letter)
        if width > most or number >= 3 * most:
            return text[:number]
    return text
