"""The body of a report of several runs and seeds of the same tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording.comparisons import Comparison
from clrnn_tf.recording.report import overview
from clrnn_tf.recording.report.costs import ledger_of
from clrnn_tf.recording.report.elements import bar, cell, duration, megabytes, number, row, section, table, text
from clrnn_tf.recording.report.entries import Entry, Value, entry_of, entry_of_runs
from clrnn_tf.recording.report.provenance import again_section, provenance_section, settings_details
from clrnn_tf.recording.report.stored_run import StoredRun
from clrnn_tf.recording.report.tasks import matrices_section
from clrnn_tf.recording.run_groups import by_settings, labels_of


class Group(NamedTuple):
    """Runs that differ in their seed alone."""

    label: str
    runs: list[StoredRun]

    @property
    def entry(self) -> Entry:
        """As it is set beside others."""
        seeds = [run.results["seed"] for run in self.runs]
        word = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds: {', '.join(map(str, seeds))}"
        first = self.runs[0].matrix
        unfinished = "" if first.finished else f"; unfinished, {len(first.rows)} of {len(first.row_names)} tasks"
        return entry_of_runs(self.label, self.runs, f"{word}{unfinished}")


def groups_of(runs: Sequence[StoredRun]) -> list[Group]:
    """Runs by their settings without the seed, in the order in which they come.

    Raises:
      ConfigurationError: They have not learned the same tasks, or two have the same settings and seed.
    """
    first = runs[0]
    for run in runs[1:]:
        one, other = ((each.results["benchmark"], tuple(each.matrix.task_names)) for each in (first, run))
        if one != other:
            raise ConfigurationError(
                f"the runs of a report must have learned the same tasks. Received: {first.path} ({_tasks(first)}) and "
                f"{run.path} ({_tasks(run)})."
            )
    groups = by_settings(runs, lambda run: (len(run.matrix.rows), run.results["data_source"]))
    return [Group(label, members) for label, members in zip(labels_of(groups), groups, strict=True)]


def _tasks(run: StoredRun) -> str:
    names = ", ".join(run.matrix.task_names[:4])
    more = ", ..." if run.matrix.num_tasks > 4 else ""
    return f"{run.results['benchmark']}: {run.matrix.num_tasks} tasks, {names}{more}"


def several_title(groups: Sequence[Group]) -> str:
    """The benchmark and how many runs."""
    count = sum(len(group.runs) for group in groups)
    return f"{groups[0].runs[0].results['benchmark']}: {count} runs"


def several_body(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> list[str]:
    """All parts of the page, in order."""
    first = groups[0].runs[0]
    entries = [group.entry for group in groups]
    beside = [entry_of(each.over(first.matrix.task_names)) for each in comparisons]
    return [
        _head(groups),
        *dict.fromkeys(overview.warnings(run) for group in groups for run in group.runs),
        section(
            f"{first.headline.capitalize()} over the tasks learned",
            overview.picture(entries, first.matrix.task_names, first.headline),
        ),
        section("Side by side", overview.beside([*entries, *beside])),
        _tasks_side_by_side(entries),
        matrices_section(entries),
        _costs(groups),
        _runs(groups),
        *(
            f"<details><summary>{text(group.label)}: how to make it again, and where it comes from</summary>"
            f"{again_section(group.runs[0])}{provenance_section(group.runs[0])}{settings_details(group.runs[0])}</details>"
            for group in groups
        ),
    ]


def _head(groups: Sequence[Group]) -> str:
    results = groups[0].runs[0].results
    sources = dict.fromkeys(run.results["data_source"] for group in groups for run in group.runs)
    methods, data = ", ".join(group.label for group in groups), "; ".join(map(overview.shortened, sources))
    said = f"{results['num_tasks']} tasks · {methods} · {data}"
    return f"<header><h1>{text(several_title(groups))}</h1><p>{text(said)}</p></header>"


def _tasks_side_by_side(entries: Sequence[Entry]) -> str:
    """Final scores of each task, a column for each entry, each with a bar and a mark for the score during."""
    names = entries[0].matrices[0].task_names
    of_entries = [list(zip(entry.scores("during"), entry.scores("final"), strict=True)) for entry in entries]
    rows = [row([text(name), *(_with_bar(scores, place) for scores in of_entries)]) for place, name in enumerate(names)]
    metric = entries[0].matrices[0].headline.replace("_", " ")
    caption = f"Test {metric} of each task at the end, in percent (the bar), and right after it was learned (the mark)."
    return section("Tasks", table(("task", *(entry.label for entry in entries)), rows, caption))


def _with_bar(scores: Sequence[tuple[Value, Value]], place: int) -> str:
    if place >= len(scores):
        return "–"
    during, final = scores[place]
    return cell(f"{final.text}{bar(final.mean, during.mean)}", "bars")


def _costs(groups: Sequence[Group]) -> str:
    """Memory and time, a row for each group."""
    rows = []
    for group in groups:
        ledger = ledger_of(group.runs[0].results)
        seconds = [sum(task["train_seconds"] for task in run.results["timing"]["tasks"]) for run in group.runs]
        kept = megabytes(ledger.to_learn) if ledger.to_learn else "nothing"
        separate = megabytes(ledger.separate) if ledger.separate else "–"
        rows.append(
            row(
                [
                    text(group.label),
                    megabytes(ledger.answers + ledger.tables),
                    kept,
                    separate,
                    duration(sum(seconds) / len(seconds)),
                ]
            )
        )
    heads = ("run", "to answer", "kept to learn on", "separate networks", "training")
    caption = (
        "Trained parameters (and tables of n-grams), what is kept besides for old tasks, and what one network for "
    )
    caption += "each task would take without tables; time of training, without tests, the mean over seeds."
    return section("Memory and time", table(heads, rows, caption))


def _runs(groups: Sequence[Group]) -> str:
    """A row for each run."""
    rows = []
    for run in (run for group in groups for run in group.runs):
        results, began = run.results, str(run.provenance.get("began", "–"))[:10]
        values = (results["mean_during_accuracy"], results["mean_final_accuracy"], results["forgetting"])
        method = f"{text(results['method'])}<small>{text(run.path)}</small>"
        rows.append(row([method, str(results["seed"]), *map(number, values), began]))
    return section("Runs", table(("run", "seed", "during", "final", "forgetting", "began"), rows, kind="runs"))
