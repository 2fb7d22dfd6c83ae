"""How cost grows, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the choice of a backend
from matplotlib.ticker import FixedLocator, LogFormatter, NullLocator, ScalarFormatter  # noqa: E402

Row = Mapping[str, object]


class Axes(NamedTuple):
    """One picture of growth."""

    title: str
    x_label: str
    log: bool


GROWTH = {
    "tasks": Axes("HNET step on the Copy network (Elman 256)", "old tasks regularised", log=False),
    "hidden": Axes("Fine-tuning an LSTM, batch 128, T = 117", "units", log=True),
    "length": Axes("Fine-tuning an LSTM 256, batch 128", "time steps", log=True),
    "chunk": Axes("HNET step on the Copy network, 4 old tasks", "weights per chunk", log=True),
}
_CURVES = {
    "ours": ("clrnn_tf", "#0b6e99", "o"),
    "torch_fused": ("PyTorch nn.LSTM", "#c8553d", "s"),
    "floor_ms": ("floor at the rate of a large product", "#777777", ""),
}


def draw(growth: Mapping[str, Sequence[Row]], directory: Path) -> list[Path]:
    """One PNG for each kind of growth that was measured."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, rows in growth.items():
        figure = _figure(GROWTH[name], rows)
        paths.append(directory / f"{name}.png")
        figure.savefig(paths[-1], dpi=110)
        plt.close(figure)
    return paths


def _figure(axes: Axes, rows: Sequence[Row]) -> plt.Figure:
    with_memory = "peak_mib" in rows[0]
    figure, panels = plt.subplots(
        1, 1 + with_memory, figsize=(5.2 * (1 + with_memory), 3.6), squeeze=False, layout="constrained"
    )
    xs = [row["x"] for row in rows]
    for key, (label, colour, marker) in _CURVES.items():
        if key in rows[0]:
            style = "--" if key == "floor_ms" else "-"
            panels[0, 0].plot(xs, [row[key] for row in rows], style, color=colour, marker=marker, label=label)
    _finish(panels[0, 0], axes, xs, "time per step, ms")
    panels[0, 0].legend(frameon=False)
    if with_memory:
        for key, style, label in (("process_mib", "-", "whole process"), ("peak_mib", ":", "of training")):
            panels[0, 1].plot(xs, [row[key] for row in rows], style, color="#0b6e99", marker="o", label=label)
        _finish(panels[0, 1], axes, xs, "peak memory, MiB")
        panels[0, 1].legend(frameon=False)
    figure.suptitle(axes.title)
    return figure


def _finish(panel: plt.Axes, axes: Axes, xs: Sequence[float], y_label: str) -> None:
    panel.set(xlabel=axes.x_label, ylabel=y_label)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    if axes.log:
        panel.set(xscale="log", yscale="log")
        panel.xaxis.set_major_locator(FixedLocator(list(xs)))
        panel.xaxis.set_minor_locator(NullLocator())
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter(ScalarFormatter())
        panel.yaxis.set_minor_formatter(LogFormatter())  # plain numbers, where there is room for them
    else:
        panel.set_ylim(bottom=0)
