"""What a report sets side by side: runs, groups of seeds, published figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.comparisons import Comparison
from clrnn_tf.recording.report.elements import number
from clrnn_tf.recording.report.stored_run import StoredRun


class Value(NamedTuple):
    """A number, or the mean of one over several seeds."""

    mean: float
    """nan where there is none."""
    error: float = math.nan
    """Standard error of the mean, s / sqrt(n) with n - 1 degrees of freedom; nan of fewer than two seeds."""

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Value:
        """The mean of numbers and its standard error; nan where one of them is None or nan."""
        known = np.array([math.nan if value is None else value for value in values], float)
        error = float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else math.nan
        return cls(float(known.mean()) if len(known) else math.nan, error)

    @property
    def text(self) -> str:
        """As it is written: 93.41, or 93.41 ± 0.12."""
        return number(self.mean) + ("" if math.isnan(self.error) else f" ± {number(self.error)}")


class Entry(NamedTuple):
    """One run, several seeds of one, or a published figure."""

    label: str
    during: Value
    final: Value
    forgetting: Value
    source: str
    method: str = ""
    matrices: tuple[ResultMatrix, ...] = ()
    """Of every seed; () where the source gives none."""
    task_accuracy: Mapping[str, float] | None = None
    """By task name, of models that each learned one task."""
    this: bool = False
    """Whether the report is about it."""

    def scores(self, kind: str) -> list[Value]:
        """`during` or `final` scores of each task learned."""
        metric = self.matrices[0].headline
        return [Value.of(seeds) for seeds in zip(*(getattr(m, kind)(metric) for m in self.matrices), strict=False)]


def entry_of(comparison: Comparison) -> Entry:
    """A comparison as a report shows it."""
    return Entry(
        comparison.label,
        Value.of([comparison.during]),
        Value.of([comparison.final]),
        Value.of([comparison.forgetting]),
        comparison.source,
        comparison.method,
        (comparison.matrix,) if comparison.matrix is not None and comparison.matrix.rows else (),
        comparison.task_accuracy,
    )


def without_data(entry: Entry, data_source: str) -> Entry:
    """An entry whose source says `same data` in place of the data of the run that it is set beside."""
    return entry._replace(source=entry.source.replace(f"data: {data_source}", "same data"))


def entry_of_runs(label: str, runs: Sequence[StoredRun], source: str, this: bool = False) -> Entry:
    """One run, or runs that differ in their seed, under a label."""
    matrices = tuple(run.matrix for run in runs)
    metric, results = matrices[0].headline, [run.results for run in runs]
    of_accuracy = metric == "accuracy"
    during = Value.of([float(matrix.during(metric).mean()) for matrix in matrices])
    final = Value.of([float(matrix.final(metric).mean()) for matrix in matrices])
    forgotten = Value.of([result["forgetting"] if of_accuracy else None for result in results])
    return Entry(label, during, final, forgotten, source, results[0]["method"], matrices, this=this)


def drawn(entries: Sequence[Entry], names: Sequence[str]) -> dict[str, Entry]:
    """Those that learned the named tasks, by labels that differ."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.matrices and tuple(entry.matrices[0].task_names) == tuple(names):
            repeats = sum(label == entry.label or label.startswith(f"{entry.label}, ") for label in found)
            found[f"{entry.label}, {repeats + 1}" if repeats else entry.label] = entry
    return found
