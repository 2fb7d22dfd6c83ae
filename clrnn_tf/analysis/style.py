"""How figures for a paper look: colours for the colour-blind, told apart in grey by marker and dash; embedded fonts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from clrnn_tf.analysis.places import places

WIDTH = 5.5
"""Inches; the width of the text in the style files of the large conferences."""
SETTINGS: Any = {  # matplotlib types the name of every setting
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.3",
    "xtick.color": "0.2",
    "ytick.color": "0.2",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # TrueType, embedded: journals refuse fonts of type 3
    "ps.fonttype": 42,
    "svg.fonttype": "path",
}
"""Of matplotlib, while a figure is made and written."""


class Look(NamedTuple):
    """How a method is drawn."""

    color: str
    dash: Any
    marker: str


# Colours after Okabe and Ito, in the order in which the figures of reports take them.
_LOOKS = (
    Look("#D55E00", (0, (5, 1.5)), "o"),
    Look("#0072B2", "solid", "s"),
    Look("#009E73", (0, (1, 1)), "D"),
    Look("#CC79A7", (0, (4, 1, 1, 1)), "^"),
    Look("#E69F00", (0, (3, 1, 1, 1, 1, 1)), "v"),
    Look("#000000", (0, (2, 1)), "P"),
    Look("#56B4E9", (0, (6, 1, 2, 1)), "X"),
    Look("#7F7F7F", (0, (1, 2)), "p"),
)


def looks(methods: Sequence[str]) -> list[Look]:
    """How methods are drawn: some have a look of their own, others get what is left, in their order.

    Example:
      >>> [look.marker for look in looks(["si", "hnet", "hnet"])]
      ['o', 's', 'D']
    """
    return [_LOOKS[place % len(_LOOKS)] for place in places(methods)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its ending says: PDF, PNG, SVG. Equal figures give equal files.

    Args:
      figure: It keeps its size: what is written is as wide as it was made.
      path: The file.
    """
    no_date = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}
    kind = path.suffix.lstrip(".").lower()
    with rc_context({**SETTINGS, "svg.hashsalt": "clrnn_tf"}):
        figure.savefig(path, format=kind, dpi=300, metadata=no_date.get(kind))
