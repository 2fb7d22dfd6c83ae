"""Which classes are taken for which, where classes have names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clrnn_tf.recording.heat_maps import HeatMap, heat_map_figure
from clrnn_tf.recording.report.elements import cell, figure, number, row, section, table, text
from clrnn_tf.recording.report.stored_run import StoredRun

_MOST_ROWS = 12
_MOST_CLASSES = 40  # in a picture


class Confusion(NamedTuple):
    """Steps of one true class that were answered by another."""

    task: str
    """Empty where classes are those of all tasks."""
    true: str
    predicted: str
    times: int
    share: float
    """Of the true class, in percent."""


def confusions_section(run: StoredRun) -> str:
    """The most frequent confusions at the end, and all of them where the tasks have the same classes."""
    counts = [evaluation.confusion for evaluation in run.matrix.rows[-1][: run.matrix.num_learned]]
    known = [count for count in counts if count is not None]
    names = run.results.get("class_names")
    if not known or len(known) < len(counts):
        return ""
    if names and len(names) == len(known[0]) and not isinstance(run.results.get("data", {}).get("classes"), dict):
        total = np.sum(known, axis=0)
        return section("Classes", _picture(total, names), _table(confusions("", total, names)))
    found = [
        confusion
        for task, count in zip(run.matrix.task_names, known, strict=False)
        for confusion in confusions(task, count, _names_of(run, task, len(count)))
    ]
    return section("Classes", _table(found)) if found else ""


def _names_of(run: StoredRun, task: str, num_classes: int) -> Sequence[str]:
    """Names of the classes of a task; () where they have none."""
    of_tasks = run.results.get("data", {}).get("classes")
    names = of_tasks.get(task, ()) if isinstance(of_tasks, dict) else ()
    return [str(name) for name in names] if len(names) == num_classes else ()


def confusions(task: str, counts: np.ndarray, names: Sequence[str]) -> list[Confusion]:
    """All confusions of a task whose classes have names; [C, C] counts by (true class, predicted class).

    Example:
      >>> import numpy as np
      >>> confusions("de", np.array([[8, 2], [0, 5]]), ("NOUN", "VERB"))
      [Confusion(task='de', true='NOUN', predicted='VERB', times=2, share=20.0)]
    """
    return [
        Confusion(task, names[true], names[predicted], int(count), 100.0 * float(count / counts[true].sum()))
        for (true, predicted), count in np.ndenumerate(counts)
        if names and true != predicted and count > 0
    ]


def _table(found: Sequence[Confusion]) -> str:
    most = sorted(found, key=lambda confusion: -confusion.times)[:_MOST_ROWS]
    if not most:
        return ""
    with_task = bool(most[0].task)
    rows = [
        row(
            [
                *([text(confusion.task)] if with_task else []),
                cell(text(confusion.true), "text"),
                cell(text(confusion.predicted), "text"),
                f"{confusion.times:,}",
                f"{number(confusion.share, decimals=1)} %",
            ]
        )
        for confusion in most
    ]
    heads = (*(["task"] if with_task else []), "class", "taken for", "times", "of the class")
    return table(heads, rows, "The most frequent confusions in the test data at the end.", words=("class", "taken for"))


def _picture(counts: np.ndarray, names: Sequence[str]) -> str:
    occurs = [place for place in range(len(names)) if counts[place].sum() + counts[:, place].sum() > 0]
    if not 2 <= len(occurs) <= _MOST_CLASSES:
        return ""
    chosen = counts[np.ix_(occurs, occurs)].astype(float)
    totals = chosen.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, 100.0 * chosen / np.maximum(totals, 1), np.nan)
    right = np.eye(len(occurs), dtype=bool)
    shares[~right & (shares < 1.0)] = np.nan
    said = [names[place] for place in occurs]
    heat_map = HeatMap(shares, said, said, "true class", "answer", "wrong answers, % of the true class", right)
    caption = "Percent of each true class that were given each answer at the end, in the test data of all tasks. Right "
    caption += "answers are grey; colours show the wrong ones. Less than one percent is left blank."
    return figure(lambda width: heat_map_figure(heat_map, width), "classes", "classes by answer", caption)
