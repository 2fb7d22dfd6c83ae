"""The top of a report: what came out, and the picture of it beside other runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clrnn_tf.recording import figures
from clrnn_tf.recording.figures import LineStyle
from clrnn_tf.recording.report.elements import bar, cell, figure, note, number, row, section, table, text
from clrnn_tf.recording.report.entries import Entry, drawn
from clrnn_tf.recording.report.stored_run import StoredRun
from clrnn_tf.recording.results import further_means

_LONGEST_SOURCE = 130


def page_title(run: StoredRun) -> str:
    """The method and the benchmark."""
    return f"{run.results['method']} on {run.results['benchmark']}"


def head(run: StoredRun) -> str:
    """Title, and what the run is in a line."""
    results, provenance = run.results, run.provenance
    parts = [f"{results['num_tasks']} task" + "s" * (results["num_tasks"] != 1), f"seed {results['seed']}"]
    parts += [f"preset {provenance['preset']}"] if provenance.get("preset") else []
    parts += [str(provenance["began"])[:10]] if provenance.get("began") else []
    parts.append(shortened(results["data_source"]))
    return f"<header><h1>{text(page_title(run))}</h1><p>{text(' · '.join(parts))}</p></header>"


def shortened(source: str) -> str:
    """A long list of data sources, as far as a title needs it; the whole of it stands at the end of the page."""
    return source if len(source) <= _LONGEST_SOURCE else f"{source[:_LONGEST_SOURCE].rpartition(',')[0]}, ..."


def warnings(run: StoredRun) -> str:
    """What must be known before the numbers are read."""
    said = []
    if not run.results["finished"]:
        learned, names = len(run.matrix.rows), run.matrix.row_names
        said.append(f"Unfinished run: {learned} of {len(names)} tasks are learned. All numbers are of these.")
    if run.provenance.get("quick") is True:
        said.append("Made with --quick: too short to learn. The numbers say only that everything works.")
    return "".join(f'<p class="warning">{text(sentence)}</p>' for sentence in said)


def lead(run: StoredRun) -> str:
    """The result in words."""
    matrix, metric, words = run.matrix, run.matrix.headline, run.headline
    during, final = float(matrix.during(metric).mean()), float(matrix.final(metric).mean())
    if math.isnan(final):
        return ""
    learned = matrix.num_learned
    if matrix.joint:
        return _paragraph(f"One network learned {learned} tasks at once. Its mean test {words} is {number(final)} %.")
    if learned == 1:
        return _paragraph(f"After the first task its test {words} is {number(final)} %.")
    change = final - during
    if abs(change) < 0.005:
        kept = "as right after each was learned"
    else:
        moved = f"{number(abs(change))} points {'less' if change < 0 else 'more'}"
        kept = f"{moved} than right after each was learned ({number(during)} %)"
    return _paragraph(f"After {learned} tasks the mean test {words} over all of them is {number(final)} %, {kept}.")


def _paragraph(words: str) -> str:
    return f'<p class="lead">{text(words)}</p>'


def tiles(run: StoredRun) -> str:
    """The headline numbers."""
    results = run.results
    numbers = [
        ("final accuracy", results["mean_final_accuracy"], "%"),
        ("during accuracy", results["mean_during_accuracy"], "%"),
        ("forgetting", results["forgetting"], "points"),
        ("worst task, final", results["worst_final_accuracy"], "%"),
        ("forward transfer", results["forward_transfer"], "points"),
    ]
    numbers += [
        (f"final {name.replace('_', ' ').replace('f1', 'F1')}", mean, "%")
        for name, mean in further_means(results).items()
    ]
    shown = "".join(
        f"<div><b>{number(value)}<span>{unit}</span></b>{text(label)}</div>"
        for label, value, unit in numbers
        if value is not None
    )
    return f'<div class="numbers">{shown}</div>'


def picture(entries: Sequence[Entry], names: Sequence[str], metric: str) -> str:
    """Accuracy over the tasks learned: the mean, and each task, of all entries that learned the same tasks."""
    lines = drawn(entries, names)
    if not lines:
        return ""
    runs = {label: entry.matrices for label, entry in lines.items()}
    methods = {label: entry.method for label, entry in lines.items()}
    several = any(len(seeds) > 1 for seeds in runs.values())
    band = " Bands go from the lowest to the highest seed." if several else ""
    mean = figure(
        lambda width: figures.accuracy_over_tasks(runs, methods, width, named=width > 500),
        "over-tasks",
        f"mean test {metric} on the tasks learned so far, of {', '.join(lines)}",
        f"After each task: the mean test {metric} on all tasks learned so far.{band}",
    )
    drawn_tasks = len(figures.spaced(len(names), figures.MOST_PANELS))
    some = f"{drawn_tasks} of {len(names)} tasks, evenly spaced: " if drawn_tasks < len(names) else "Each task: "
    each = ""
    if len(names) > 1:
        each = figure(
            lambda width: figures.task_panels(runs, methods, width),
            "each-task",
            f"test {metric} of each task after each task, of {', '.join(lines)}",
            f"{some}its test {metric} in percent from the moment when it was learned. A line that falls is forgetting.",
        )
    return _legend(list(lines), figures.styles_of(runs, methods)) + mean + each


def _legend(labels: Sequence[str], styles: Sequence[LineStyle]) -> str:
    """Names beside their lines; nothing for a single one."""
    if len(labels) < 2 or not figures.available():
        return ""
    keys = (f"<li>{_key(style)}{text(label)}</li>" for label, style in zip(labels, styles, strict=True))
    return f'<ul class="legend">{"".join(keys)}</ul>'


def _key(style: LineStyle) -> str:
    """A piece of the line with its marker."""
    dashes = f' stroke-dasharray="{" ".join(str(2 * dash) for dash in style.dashes)}"' if style.dashes else ""
    shapes = {
        "o": '<circle cx="19" cy="6" r="4"/>',
        "s": '<rect x="15.5" y="2.5" width="7" height="7"/>',
        "D": '<path d="M19 1l5 5-5 5-5-5z"/>',
        "^": '<path d="M19 1.5l4.5 8h-9z"/>',
        "v": '<path d="M19 10.5l4.5-8h-9z"/>',
        "P": '<path d="M17.3 2h3.4v2.3H23v3.4h-2.3V10h-3.4V7.7H15V4.3h2.3z"/>',
    }
    line = f'<path d="M0 6H38" stroke="{style.color}" stroke-width="2"{dashes}/>'
    drawing = f'{line}<g fill="{style.color}">{shapes[style.marker]}</g>'
    size = 'width="38" height="12" viewBox="0 0 38 12"'
    return f'<span class="key"><svg {size} aria-hidden="true">{drawing}</svg></span>'


def beside(entries: Sequence[Entry], named: str = "") -> str:
    """The table of all that is set side by side."""
    rows = []
    for entry in entries:
        source = f"<small>{text(entry.source)}</small>" if entry.source else ""
        cells = [
            f"{text(entry.label)}{source}",
            entry.during.text,
            entry.final.text,
            cell(bar(entry.final.mean, entry.during.mean), "bars"),
            entry.forgetting.text,
        ]
        rows.append(row(cells, "this" if entry.this and len(entries) > 1 else ""))
    explained = "Percent: right after each task was learned (during), and at the end (final); means over the tasks. "
    explained += "Bars show final, and a mark during. Forgetting, in points: from a task's best to its last accuracy."
    seeds = max((len(entry.matrices) for entry in entries), default=0)
    errors = " ± is the standard error of the mean over seeds." if seeds > 1 else ""
    return table(("run", "during", "final", "", "forgetting"), rows, f"{named}{explained}{errors}", "beside")


def top(entries: Sequence[Entry], run: StoredRun) -> str:
    """The picture, and the table below it."""
    heading = "Accuracy over the tasks learned" if run.headline == "accuracy" else f"Test {run.headline} over the tasks"
    shown = picture(entries, run.matrix.task_names, run.headline) or note("No other run learned the same tasks.")
    return section(heading, shown) + (section("Beside other results", beside(entries)) if len(entries) > 1 else "")
