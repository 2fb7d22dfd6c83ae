"""What a report says about each task: the matrix, a table, curves of training, inference of the task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from clrnn_tf.recording.curves import Borders, Curve, curves_figure
from clrnn_tf.recording.heat_maps import color_scale, heat_map_figure, heat_map_of
from clrnn_tf.recording.report.elements import (
    HALF,
    WIDE,
    bar,
    cell,
    duration,
    figure,
    number,
    row,
    section,
    table,
    text,
)
from clrnn_tf.recording.report.entries import Entry, Value
from clrnn_tf.recording.report.stored_run import StoredRun

_MOST_POINTS = 4000  # of a curve in a report


def matrix_section(entry: Entry, title: str) -> str:
    """Every task after each task."""
    return section(title, _matrix(entry, "matrix", title, color_scale([heat_map_of(entry.matrices)])))


def matrices_section(entries: Sequence[Entry]) -> str:
    """The matrices of several entries side by side, in the same colours."""
    scale = color_scale([heat_map_of(entry.matrices) for entry in entries])
    drawn = (
        f"<div><h3>{text(entry.label)}</h3>{_matrix(entry, f'matrix-{place}', entry.label, scale, HALF)}</div>"
        for place, entry in enumerate(entries)
    )
    return section("Every task after each task", f'<div class="pair">{"".join(drawn)}</div>')


def _matrix(entry: Entry, name: str, title: str, scale: tuple[float, float], width: float = WIDE) -> str:
    heat_map = heat_map_of(entry.matrices)
    mean = f", mean of {len(entry.matrices)} seeds" if len(entry.matrices) > 1 else ""
    caption = f"Rows: after learning a task; columns: tested on a task{mean}."
    if not entry.matrices[0].joint:
        caption += " Colours cover the scores of tasks that have been learned; earlier ones are grey, or left blank."
    return figure(lambda size: heat_map_figure(heat_map, size, scale), name, title, caption, width)


def task_table(entry: Entry, others: Sequence[Entry] = (), run: StoredRun | None = None) -> str:
    """A row for each task: bars, numbers, time; columns of their own for others that have an accuracy for each task.

    Args:
      entry: What the report is about.
      others: What it is set beside.
      run: The run whose times are shown, if any.
    """
    by_task = {each.label: each for each in others if each.task_accuracy is not None}
    names, metric = entry.matrices[0].task_names, entry.matrices[0].headline
    during, final = entry.scores("during"), entry.scores("final")
    times = _times(run) if run is not None and not entry.matrices[0].joint else {}
    rows = []
    for name, at_once, at_end in zip(names, during, final, strict=False):
        cells = [text(name), cell(bar(at_end.mean, at_once.mean), "bars"), *_change(at_once, at_end)]
        cells += [number((each.task_accuracy or {}).get(name)) for each in by_task.values()]
        rows.append(row([*cells, times.get(name, "–")] if times else cells))
    means = _mean(during), _mean(final)
    cells = ["mean", cell(bar(means[1].mean, means[0].mean), "bars"), *_change(*means)]
    cells += [number(each.final.mean) for each in by_task.values()]
    whole = [duration(_seconds(run))] if times and run is not None else []
    rows.append(row([*cells, *whole], "mean"))
    heads = ("task", "", "during", "final", "change", *by_task, *(["time"] if times else []))
    caption = (
        f"Test {metric.replace('_', ' ')} in percent: right after a task was learned (during, the mark on the bar) "
    )
    caption += "and at the end (final, the bar)."
    if times:
        caption += " Time: training of the task, and of all at the bottom; tests are not counted."
    return section("Tasks", table(heads, rows, caption))


def _change(during: Value, final: Value) -> list[str]:
    return [during.text, final.text, number(final.mean - during.mean, "+")]


def _mean(values: Sequence[Value]) -> Value:
    return Value(float(np.mean([value.mean for value in values])) if values else math.nan)


def _times(run: StoredRun) -> dict[str, str]:
    return {task["task"]: duration(task["train_seconds"]) for task in run.results["timing"]["tasks"]}


def _seconds(run: StoredRun) -> float:
    return sum(task["train_seconds"] for task in run.results["timing"]["tasks"])


def curves_section(run: StoredRun) -> str:
    """Losses and accuracies over the training steps of all tasks, a piece for each task."""
    if not run.entries:
        return ""
    joint, names = run.matrix.joint, run.matrix.row_names
    lengths = [0] * len(names)
    for entry in run.entries:
        task = 0 if joint else entry["task_id"]
        lengths[task] = max(lengths[task], entry["step"])
    starts = [sum(lengths[:task]) for task in range(len(names))]
    begun = [task for task, length in enumerate(lengths) if length > 0]
    borders = Borders([starts[task] for task in begun], [names[task] for task in begun])
    training, validation = (
        [entry for entry in run.entries if entry["kind"] == kind] for kind in ("train", "validation")
    )

    def pieces(entries: Iterable[dict], values: Iterable[float | None]) -> list[tuple[list[float], list[float]]]:
        by_task: dict[int, tuple[list[float], list[float]]] = {}
        for entry, value in zip(entries, values, strict=True):
            task = 0 if joint else entry["task_id"]
            x, y = by_task.setdefault(task, ([], []))
            x.append(starts[task] + entry["step"])
            y.append(value if value is not None and math.isfinite(value) else math.nan)
        every = -(-sum(len(x) for x, _ in by_task.values()) // _MOST_POINTS) or 1
        return [(x[::every], y[::every]) for x, y in by_task.values()]

    kinds = [name for name in (training[0]["losses"] if training else ()) if name != "total"]
    losses = [
        Curve(name.replace("_", " "), pieces(training, (entry["losses"].get(name) for entry in training)))
        for name in kinds
    ]
    accuracies = [
        Curve("training batches", pieces(training, (entry["accuracy"] for entry in training))),
        Curve("validation", pieces(validation, (entry["accuracy"] for entry in validation)), dots=True),
    ]
    loss = _loss_title(run.matrix.loss_unit)
    drawn = [figure(lambda width: curves_figure(losses, loss, borders, True, width), "loss", "losses")]
    if any(not math.isnan(value) for curve in accuracies for _, y in curve.pieces for value in y):
        title = "accuracy, %"
        drawn += [figure(lambda width: curves_figure(accuracies, title, borders, width=width), "training", title)]
    return section("Training", *drawn)


def _loss_title(unit: str) -> str:
    return "loss, nats a sequence" if unit == "nats" else f"loss, {unit}" if unit else "loss"


def inference_section(run: StoredRun) -> str:
    """How well tasks were found where they were not told."""
    scores = run.results.get("task_inference")
    if scores is None:
        return ""
    names, counts = run.results["task_names"], scores["inferred_counts"]
    columns = (scores["inference_accuracy"], scores["joint_accuracy"], run.results["final_accuracy"])
    mostly = [names[max(range(len(each)), key=each.__getitem__)] for each in counts]
    rows = [
        row([text(name), *map(number, values), cell(text(taken), "text")])
        for name, *values, taken in zip(names, *columns, mostly, strict=True)
    ]
    means = [number(float(np.mean([math.nan if value is None else value for value in column]))) for column in columns]
    rows.append(row(["mean", *means, ""], "mean"))
    heads = ("task", "found", "inferred", "known", "mostly taken for")
    caption = (
        "Percent of test sequences whose task was found by the entropy of the answers, and accuracy in percent on all "
        "sequences with the inferred and with the known task."
    )
    return section("Task unknown", table(heads, rows, caption, words=heads[-1:]))
