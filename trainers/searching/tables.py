"""What a search found: a table as text, CSV and JSON, and the best settings as a file that ``--config`` takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from keras_tuner.engine.trial import Trial, TrialStatus
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from clrnn_tf.durable_files import write_text
from clrnn_tf.recording.run_directory import as_json
from trainers.searching.plans import PLASTICITY, Plan
from trainers.searching.spaces import applied, as_typed
from trainers.searching.trials import stored_outcome
from trainers.searching.values import PHASE, budget_of, is_accepted, values_of

BEST = "best.yaml"
TABLES = ("trials.txt", "trials.csv", "trials.json")
_WIDTH = 120
_VALUE_WIDTH = 8  # of 0.000123


@dataclass(frozen=True)
class Row:
    """A trial in the tables."""

    trial: str
    status: str
    """`finished`, `ended early`, `failed`, or `running`."""
    score: float | None
    scores: tuple[float, ...]
    """Of each seed."""
    seconds: float | None
    steps_share: float
    """Share of the steps, of a trial of Hyperband."""
    settings: Mapping[str, object]
    """Values by dotted name."""
    accepted: bool
    """Whether the trial may be the best one."""
    note: str = ""


def rows_of(plan: Plan, trials: Sequence[Trial]) -> list[Row]:
    """The trials, in their order."""
    largest = max((budget_of(trial.hyperparameters.values) for trial in trials if _is_done(trial)), default=1.0)
    return [_row(plan, trial, largest) for trial in trials]


def best_of(plan: Plan, rows: Sequence[Row]) -> Row | None:
    """The best trial of those that went through, on the most steps that any took; None without any."""
    best = None
    for row in rows:
        better = best is None or plan.objective.is_better(row.score or 0.0, best.score or 0.0)
        if row.accepted and better:
            best = row
    return best


def write_tables(plan: Plan, rows: Sequence[Row]) -> Row | None:
    """Write the tables and the best settings; the best trial."""
    best = best_of(plan, rows)
    texts = (_text(plan, rows, best), _csv(plan, rows, best), as_json(_json(plan, rows, best), indent=1))
    for name, text in zip(TABLES, texts, strict=True):
        write_text(plan.out / name, text)
    if best is not None:
        write_text(plan.out / BEST, _best_settings(plan, best))
    return best


def table_of(plan: Plan, rows: Sequence[Row], best: Row | None) -> Group:
    """The trials, the best first, below two lines that say what they are and that are as long as they need be."""
    names = list(dict.fromkeys(name for row in rows for name in row.settings))
    of_share = any(row.steps_share < 1 for row in rows)
    percent = "" if plan.objective.minimized else " in %"
    title = f"{_title(plan)}\n{plan.objective.name}{percent}, on validation data"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("trial")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(name.rpartition(".")[2].replace("_", " "), justify="right", min_width=_VALUE_WIDTH)
    for name in ["steps"] * of_share + ["s"]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in ranked(plan, rows):
        mark = "best" if row is best else row.note if row.status == "finished" else row.status
        score = "–" if row.score is None else f"{row.score:.2f}"
        values = (as_typed(row.settings.get(name, "")) for name in names)
        share = [f"{row.steps_share:.0%}"] if of_share else []
        table.add_row(row.trial, score, mark, *values, *share, "–" if row.seconds is None else f"{row.seconds:.0f}")
    return Group(Text(title), table)


def ranked(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """The rows, from best to worst; those without a score come last."""
    sign = 1 if plan.objective.minimized else -1

    def key(row: Row) -> tuple[bool, float, float]:
        return row.score is None, -row.steps_share, sign * (row.score or 0.0)

    return sorted(rows, key=key)


def _row(plan: Plan, trial: Trial, largest: float) -> Row:
    values, share = trial.hyperparameters.values, budget_of(trial.hyperparameters.values)
    outcome = stored_outcome(plan.trials / trial.trial_id)
    status = {TrialStatus.COMPLETED: "finished", TrialStatus.RUNNING: "running"}.get(trial.status, "failed")
    if outcome is not None and outcome.ended_early:
        status = "ended early"
    accepted = status == "finished" and share == largest
    if plan.options.protocol == PLASTICITY:
        accepted = values[PHASE] == "stability" and is_accepted(plan, trial)
    note = f"{values[PHASE]}" if PHASE in values else ""
    if status == "failed" and outcome is not None:
        note = outcome.error
    return Row(
        trial.trial_id,
        status,
        outcome.score if outcome else None,
        outcome.scores if outcome else (),
        outcome.seconds if outcome else None,
        share,
        values_of(plan, values),
        accepted,
        note,
    )


def _is_done(trial: Trial) -> bool:
    return trial.status == TrialStatus.COMPLETED


def _title(plan: Plan) -> str:
    benchmark, method = plan.command.benchmark.name, plan.experiment.method
    return f"{method} on {benchmark}, tuner {plan.options.tuner}; protocol {plan.protocol}"


def _text(plan: Plan, rows: Sequence[Row], best: Row | None) -> str:
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False, color_system=None)
    console.print(table_of(plan, rows, best))
    return console.file.getvalue()  # type: ignore[attr-defined]


def _csv(plan: Plan, rows: Sequence[Row], best: Row | None) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.settings))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "status", "best", "score", "objective", "protocol", "seconds", *names, "note"])
    for row in rows:
        values = [as_typed(row.settings[name]) if name in row.settings else "" for name in names]
        score = "" if row.score is None else repr(row.score)
        facts = [row.trial, row.status, row is best, score, plan.objective.name, plan.protocol, row.seconds]
        writer.writerow([*facts, *values, row.note])
    return file.getvalue()


def _json(plan: Plan, rows: Sequence[Row], best: Row | None) -> dict[str, Any]:
    return {
        "benchmark": plan.command.benchmark.name,
        "method": plan.experiment.method,
        "preset": plan.command.preset,
        "protocol": plan.protocol,
        "objective": plan.objective.name,
        "scored_on": "validation data",
        "tuner": plan.options.tuner,
        "seeds": list(plan.seeds),
        "space": [str(space) for space in plan.spaces],
        "best": None if best is None else best.trial,
        "trials": [
            {
                "trial": row.trial,
                "status": row.status,
                "score": row.score,
                "scores": list(row.scores),
                "seconds": row.seconds,
                "steps_share": row.steps_share,
                "settings": dict(row.settings),
                "note": row.note,
            }
            for row in rows
        ],
    }


def _best_settings(plan: Plan, best: Row) -> str:
    experiment = applied(plan.experiment, best.settings)
    score = f"{plan.objective.name} {best.score:.2f}{plan.objective.unit}" if best.score is not None else ""
    heading = (
        f"# Chosen by protocol {plan.protocol}.\n"
        f"# Trial {best.trial} of {plan.out.name}: {score} on validation data, "
        f"seeds {' '.join(map(str, plan.seeds))}; the best of those that were tried, so expect less elsewhere.\n"
    )
    data_dir = plan.command.data_dir
    provenance = {"preset": plan.command.preset, "search": plan.protocol}
    if data_dir is not None:
        provenance["data_dir"] = str(data_dir.absolute())
    stored = {**experiment.to_dict(), "provenance": provenance}
    return heading + yaml.safe_dump(stored, sort_keys=False, allow_unicode=True)
