"""Figures as parts of a page: text stays text, colours follow the page, and no two figures share an id."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREY = "#7a7a7a"
"""Text and lines of figures: readable on white and on black. A page replaces it by its own colour of notes."""

_DROPPED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|font-family: [^;\"]*;? ?", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:xlink:)?href="#([^"]*)"|url\(#([^)]*)\)')


def page_svg(figure: Figure, name: str, title: str) -> str:
    """A figure as an `<svg>` element that can stand in a page beside others.

    It takes the page's font and, in place of `GREY`, its colour `--muted`. It has the ids that it refers to and no
    others, each with `name` before it.

    Args:
      figure: What is drawn; a point of its size is a pixel of the page.
      name: Differs from that of any other figure of the page; letters, digits and `-`.
      title: What is seen, for those who do not see it.

    Example:
      >>> from matplotlib.figure import Figure
      >>> from clrnn_tf.recording.svg import page_svg
      >>> figure = Figure()
      >>> _ = figure.subplots().plot([1, 2])
      >>> page_svg(figure, "first", "a line")[:36]
      '<svg role="img" aria-label="a line" '
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = _DROPPED.sub("", text[text.index("<svg") :])
    width, height = (round(72 * size) for size in figure.get_size_inches())
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    text = f'<svg role="img" aria-label="{html.escape(title)}" {size}>{text[text.index(">") + 1 :]}'
    text = _with_own_ids(text, name).replace(GREY, "var(--muted)").replace("xlink:href", "href")
    text = re.sub(r' transform="rotate\(-0[^"]*"', "", text)
    return re.sub(r"(\d\.\d\d)\d+", r"\1", re.sub(r"\s*\n\s*", " ", text)).strip()


def _with_own_ids(text: str, name: str) -> str:
    used = {one or other for one, other in _REFERENCE.findall(text)}
    text = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return _REFERENCE.sub(lambda found: f'href="#{name}-{found[1]}"' if found[1] else f"url(#{name}-{found[2]})", text)
