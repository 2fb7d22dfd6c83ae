"""What a run costs: memory, in words and beside separate networks, and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clrnn_tf.recording.report.elements import cell, duration, facts, megabytes, row, section, table, text
from clrnn_tf.recording.report.stored_run import StoredRun
from clrnn_tf.recording.results import Results

_BYTES = 4  # of a float32
_KEPT = {
    "targets": "what the hypernetwork generated for old tasks, which it must go on generating",
    "old_hypernetwork": "a copy of the hypernetwork from before the task, which says what old weights were",
    "fisher": "how much each weight matters to old tasks (Fisher information)",
    "importances": "how much each weight matters to old tasks",
    "anchors": "the value of each weight after the last task, towards which it is pulled",
    "contributions": "what each weight has contributed to the loss so far",
    "coresets": "stored sequences of old tasks",
    "teacher": "a copy of the network from before the task, whose answers are to be kept",
    "teacher_decoder": "a copy of the decoder that generates sequences of old tasks",
}
"""What methods keep in order to go on learning, in words. All else that they keep is part of the model."""


class Ledger(NamedTuple):
    """Memory in bytes."""

    answers: float
    """Trained parameters."""
    tables: float
    """Of n-grams, which are needed to answer, too."""
    to_learn: float
    """Kept for old tasks in order to learn further ones."""
    separate: float | None
    """One network for each task, without tables; None in results that do not say it."""


def ledger_of(results: Results) -> Ledger:
    """The memory that a run needs."""
    kept = (results.get("kept_bytes") or [{}])[-1]
    to_learn = sum(size for name, size in kept.items() if name in _KEPT)
    answers, separate = _BYTES * results["num_parameters"], results.get("separate_networks_bytes")
    return Ledger(answers, results.get("table_bytes", 0), to_learn, separate)


def memory_section(run: StoredRun) -> str:
    """The memory ledger: what answers, what is kept to learn on, and separate networks beside it."""
    results, tasks = run.results, run.results["num_tasks"]
    ledger = ledger_of(results)
    answering = f"{results['num_parameters']:,.0f} numbers, which answer for all tasks"
    rows = [_row("trained parameters", answering, ledger.answers)]
    if "table_bytes" in results:
        tables = f"{results.get('num_table_parameters', 0):,.0f} numbers, which turn letters into inputs"
        rows.append(_row("tables of n-grams", tables, results["table_bytes"]))
    kept = results.get("kept_bytes") or [{}]
    for name, size in kept[-1].items():
        if name in _KEPT:
            grows = _growth([sizes.get(name, 0) for sizes in kept])
            rows.append(_row(name.replace("_", " "), f"kept to learn on: {_KEPT[name]}{grows}", size))
    if ledger.separate is not None:
        each = f"for comparison: {results['num_main_network_weights']:,.0f} weights in the main network, all its heads"
        tables = "; tables are not counted" if ledger.tables else ""
        rows.append(_row(f"{tasks} separate networks", f"{each}{tables}", ledger.separate))
    said = _in_words(ledger, tasks)
    return section("Memory", f"<p>{text(said)}</p>", table(("", "what it is", "size"), rows, words=("what it is",)))


def _row(name: str, words: str, size: float) -> str:
    return row([text(name), cell(text(words), "text"), megabytes(size)])


def _growth(sizes: Sequence[int]) -> str:
    """How a size has changed from task to task."""
    if len(sizes) < 2 or sizes[-1] == 0:
        return ""
    steps = [later - earlier for earlier, later in zip(sizes, sizes[1:], strict=False)]
    if not any(steps):
        return "; the same size after every task"
    return f"; on average {megabytes(sum(steps) / len(steps))} more with each task"


def _in_words(ledger: Ledger, tasks: int) -> str:
    words = f"To answer, this run needs {megabytes(ledger.answers)} of trained parameters"
    if ledger.separate:
        share = ledger.answers / ledger.separate
        words += f", {100 * share:.0f} % of what {tasks} separate networks take ({megabytes(ledger.separate)})"
    if ledger.tables:
        words += f", and {megabytes(ledger.tables)} for the tables of n-grams"
    if ledger.to_learn:
        return f"{words}. To learn further tasks without forgetting, it keeps another {megabytes(ledger.to_learn)}."
    return f"{words}. It keeps nothing else for old tasks."


def time_section(run: StoredRun) -> str:
    """Where the time went."""
    timing = run.results["timing"]
    trained = sum(task["train_seconds"] for task in timing["tasks"])
    tested = sum(task["eval_seconds"] for task in timing["tasks"])
    steps = sum(task["steps"] for task in timing["tasks"])
    pairs = [("training", f"{duration(trained)}, {steps:,} steps"), ("tests after each task", duration(tested))]
    if "compile_seconds" in timing:
        share = (
            f"{duration(timing['compile_seconds'])}, {100 * timing.get('compile_share', 0.0):.0f} % of steps and tests"
        )
        pairs.append(("of it compilation, estimated", f"{share}; it also counts tests before training"))
    return section("Time", facts(pairs))
