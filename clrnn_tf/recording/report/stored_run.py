"""A run as it is read back for a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.results import Results, is_number
from clrnn_tf.recording.run_directory import RunDirectory, provenance_of
from clrnn_tf.yaml_files import read_settings

_MOST_STEPS = 2**53  # larger ones are no longer told apart in a figure


class StoredRun(NamedTuple):
    """What the files of a run directory hold."""

    path: Path
    results: Results
    matrix: ResultMatrix
    """At least one row."""
    entries: list[dict[str, Any]]
    """The lines of `metrics.jsonl`."""
    settings: Mapping[str, object]
    """Those of `config.yaml`, without `provenance`."""
    provenance: Mapping[str, object]
    settings_text: str

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.results["method"]

    @property
    def seed(self) -> int:
        """Of all draws."""
        return self.results["seed"]

    @property
    def preset(self) -> str:
        """Name of the preset from which it began; "" where that is not known."""
        return str(self.provenance.get("preset") or "")

    @property
    def headline(self) -> str:
        """The metric that is shown first, in words."""
        return self.matrix.headline.replace("_", " ")


def read_run(path: Path) -> StoredRun:
    """Read a run directory.

    Raises:
      ConfigurationError: It has no results, or a file is damaged.
    """
    run = RunDirectory(path)
    results, matrix = run.read_results(), run.load()
    if matrix is None or not matrix.rows:
        raise ConfigurationError(f"no results in {path}: no task has been learned.")
    require(run.config.is_file(), f"no settings in {path}: it has no config.yaml.")
    settings = read_settings(run.config)
    provenance = provenance_of(settings)
    settings = {name: value for name, value in settings.items() if name != "provenance"}
    text = run.config.read_text(encoding="utf-8")
    return StoredRun(path, results, matrix, _entries(run, len(matrix.task_names)), settings, provenance, text)


def _entries(run: RunDirectory, num_tasks: int) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`."""
    if not run.metrics.is_file():
        return []
    try:
        entries = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    except (RecursionError, ValueError) as error:
        raise ConfigurationError(f"{run.metrics} is damaged ({error}). Restore it, or remove its bad lines.") from None
    require(
        all(_is_entry(entry, num_tasks) for entry in entries),
        f"{run.metrics} is damaged (a line is no entry of a log). Restore it, or remove its bad lines.",
    )
    return entries


def _is_entry(entry: object, num_tasks: int) -> bool:
    """Whether a line of a log holds what a report draws."""
    if not isinstance(entry, dict) or not entry.keys() >= {"kind", "task_id", "step", "accuracy"}:
        return False
    losses = entry.get("losses", {} if entry["kind"] != "train" else None)
    return (
        type(entry["task_id"]) is int
        and 0 <= entry["task_id"] < num_tasks
        and type(entry["step"]) is int
        and 0 <= entry["step"] <= _MOST_STEPS
        and isinstance(losses, dict)
        and all(value is None or is_number(value) for value in (entry["accuracy"], *losses.values()))
    )
