"""The parts of which a page is made: text, numbers, tables, bars and figures, as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from clrnn_tf.pictures import attempted
from clrnn_tf.recording.svg import page_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, HALF, NARROW = 900.0, 438.0, 358.0
"""Widths of figures in pixels: of a page that is printed or on a screen, of half of it, and of one on a phone."""


def text(value: object) -> str:
    """Any value as text of a page."""
    return html.escape(str(value))


def number(value: float | None, sign: str = "", decimals: int = 2) -> str:
    """A number, or a dash where there is none. There is no negative zero."""
    if value is None or math.isnan(value):
        return "–"
    return f"{round(value, decimals) + 0.0:{sign}.{decimals}f}".replace("-", "−")


def megabytes(size: float) -> str:
    """A size in memory, in words."""
    return f"{size / 1e6:,.3f} MB"


def duration(seconds: float) -> str:
    """A time in words: seconds, minutes or hours."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 2:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def section(title: str, *body: str) -> str:
    """A part of the page under a heading; empty where it has no content."""
    content = "".join(body)
    return f"<section><h2>{text(title)}</h2>{content}</section>" if content else ""


def note(words: str) -> str:
    """A sentence that explains what is shown."""
    return f'<p class="note">{text(words)}</p>'


def row(cells: Iterable[str], kind: str = "") -> str:
    """A row of a table.

    Args:
      cells: HTML of its cells; one that begins with `<t` is a cell already.
      kind: Its class.
    """
    whole = "".join(cell if cell.startswith("<t") else f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{kind}">{whole}</tr>' if kind else f"<tr>{whole}</tr>"


def table(
    heads: Sequence[str], rows: Iterable[str], caption: str = "", kind: str = "", words: Sequence[str] = ()
) -> str:
    """A table that scrolls by itself where it is wider than the page.

    Args:
      heads: Headings of the columns, as text; none of a table of names and values.
      rows: As `row` makes them.
      caption: Said above it.
      kind: Its class.
      words: Those of the headings that stand over text.
    """
    said = note(caption) if caption else ""
    sides = (' class="text"' if name in words else "" for name in heads)
    head = "".join(f'<th scope="col"{side}>{text(name)}</th>' for name, side in zip(heads, sides, strict=True))
    head = f"<thead><tr>{head}</tr></thead>" if heads else ""
    attribute = f' class="{kind}"' if kind else ""
    return f'{said}<div class="scroll"><table{attribute}>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of names and values; both are text."""
    rows = (f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in pairs)
    return table((), rows, kind="facts")


def cell(content: str, kind: str) -> str:
    """A cell of a table with a class."""
    return f'<td class="{kind}">{content}</td>'


def bar(percent: float, mark: float = math.nan) -> str:
    """A bar from 0 to 100 %, and a mark across it; nothing where there is no number."""
    if math.isnan(percent):
        return ""
    tick = "" if math.isnan(mark) else f'<b style="left:{_share(mark)}%"></b>'
    return f'<span class="bar"><i style="width:{_share(percent)}%"></i>{tick}</span>'


def _share(percent: float) -> str:
    return f"{min(max(percent, 0.0), 100.0):.1f}"


def figure(
    draw: Callable[[float], Figure | None], name: str, title: str, caption: str = "", width: float = WIDE
) -> str:
    """A figure, drawn twice: as wide as the page, and for a phone; in words, where it cannot be drawn.

    Args:
      draw: Draws it in a width; None where matplotlib is not installed.
      name: Differs from that of any other figure of the page.
      title: What it shows, for those who do not see it.
      caption: Said below it.
      width: Of the wide one.
    """
    drawn = attempted(lambda: _drawn(draw, name, title, width), title)
    if drawn is None:
        return note("No figure: it could not be drawn.")
    if not drawn:
        return note("No figure: matplotlib is not installed (pip install matplotlib).")
    said = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{drawn}{said}</figure>"


def _drawn(draw: Callable[[float], Figure | None], name: str, title: str, width: float) -> str:
    """The figure in both widths; empty without matplotlib."""
    wide, narrow = draw(width), draw(NARROW)
    if wide is None or narrow is None:
        return ""
    return "".join(
        f'<div class="{kind}">{page_svg(each, f"{name}-{kind}", title)}</div>'
        for kind, each in (("wide", wide), ("narrow", narrow))
    )
