"""The picture of the README, made from the register: ``python results/picture.py``.

Twenty languages in the order in which they were learned, right after learning each and at the end. What lies between
was forgotten.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_ROOT = Path(__file__).parent.parent
_COMMAND = "python -m trainers.pos_tagging --data-dir DIR --preset {}_letters"
_TEXT_AT = 10.6  # languages from the left
_FORGETS, _KEEPS, _SEPARATE, _INK = "#c8553d", "#1f6f8b", "#7d7d7d", "#333333"


class Run(TypedDict):
    """What the picture takes of a line of the register; accuracies in percent."""

    task_names: list[str]
    during_accuracy: list[float]
    final_accuracy: list[float]
    mean_during_accuracy: float
    mean_final_accuracy: float


def main() -> None:
    """Read the register and write the picture."""
    parser = argparse.ArgumentParser(description="Draw accuracy by language from the register.")
    parser.add_argument("--registry", type=Path, default=_ROOT / "results" / "registry.jsonl")
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "images" / "languages.png")
    options = parser.parse_args()
    entries = [json.loads(line) for line in options.registry.read_text(encoding="utf-8").splitlines()]
    figure = picture({entry["command"]: entry for entry in entries})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=160, metadata={"Software": None})
    print(f"wrote {options.out}")


def picture(runs: Mapping[str, Run]) -> Figure:
    """The figure, from the entries of the register by their command."""
    tuned, hnet, separate = (runs[_COMMAND.format(preset)] for preset in ("fine_tuning", "hnet", "from_scratch"))
    with mpl.rc_context({"font.size": 10, "text.color": _INK, "axes.edgecolor": _INK, "axes.labelcolor": _INK}):
        figure = Figure(figsize=(8.6, 4.2), layout="constrained")
        axes = figure.subplots()
        _band(axes, tuned, _FORGETS)
        _band(axes, hnet, _KEEPS)
        axes.plot(separate["final_accuracy"], color=_SEPARATE, linewidth=1.2, linestyle=(0, (4, 2)))
        _label(axes, 60.5, f"one network per language: {separate['mean_final_accuracy']:.1f} %", _SEPARATE)
        _label(axes, 56.5, f"HNET: {_means(hnet)}", _KEEPS)
        _label(axes, 52.5, f"fine-tuning forgets: {_means(tuned)}", _FORGETS)
        axes.text(_TEXT_AT, 48.5, "right after learning → after all 20 languages", fontsize=9, va="center")
        names = tuned["task_names"]
        axes.set_xticks(range(len(names)), names)
        axes.set(ylim=(45, 100), xlim=(-0.4, len(names) - 0.6), ylabel="tagging accuracy, %")
        axes.set_xlabel("languages in the order in which they were learned")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def _band(axes: Axes, run: Run, colour: str) -> None:
    """Accuracy right after learning and at the end; the space between them is what was forgotten."""
    during, final = run["during_accuracy"], run["final_accuracy"]
    where = np.arange(len(during))
    axes.fill_between(where, final, during, color=colour, alpha=0.15, linewidth=0)
    axes.plot(where, during, color=colour, linewidth=1, marker="o", markersize=4, markerfacecolor="white")
    axes.plot(where, final, color=colour, linewidth=1.8, marker="o", markersize=4)


def _label(axes: Axes, y: float, text: str, colour: str) -> None:
    axes.text(_TEXT_AT, y, text, color=colour, fontweight="bold", va="center")


def _means(run: Run) -> str:
    return f"{run['mean_during_accuracy']:.1f} % → {run['mean_final_accuracy']:.1f} %"


if __name__ == "__main__":
    main()
