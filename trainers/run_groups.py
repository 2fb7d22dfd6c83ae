"""Stored runs of one benchmark on the same data, in groups of runs that differ in their seed only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from clrnn_tf import methods
from clrnn_tf.analysis.comparison import SeedGroup
from clrnn_tf.config import Experiment, with_present_names
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.changes import differences, with_defaults
from clrnn_tf.recording.run_directory import RunDirectory, provenance_of
from clrnn_tf.recording.run_groups import by_settings, labels_of
from clrnn_tf.yaml_files import read_settings
from trainers.seeds import runs_at


@dataclass(frozen=True)
class StoredRun:
    """A finished run."""

    path: Path
    settings: Mapping[str, object]
    """All but the seed, with defaults for what was not stored."""
    seed: int
    preset: str
    matrix: ResultMatrix
    fingerprint: str | None
    """Of the data; None where it is generated."""

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.settings["method"])


@dataclass(frozen=True)
class RunGroups:
    """Runs that can be compared."""

    groups: tuple[SeedGroup, ...]
    runs: tuple[tuple[StoredRun, ...], ...]
    """The runs of each group, in ascending order of their seeds."""
    notes: tuple[str, ...]
    """What to know before trusting a comparison: runs that were left out, settings of the data that differ."""


def read_groups(paths: Sequence[Path], labels: Sequence[str] = ()) -> RunGroups:
    """Read runs and group them.

    Args:
      paths: Run directories, or directories of seeds. Of the latter, runs that are not finished are left out.
      labels: Names of the groups, in the order in which their first runs come; by default their methods, with the
        settings that differ where a method is there twice.

    Raises:
      ConfigurationError: A path holds no finished run, or the runs are of different benchmarks, tasks, data or schema
        versions; the message is one line.
    """
    require(bool(paths), "a comparison needs at least one run directory. Received: none.")
    runs, notes = [], []
    once = {found.resolve(): found for path in paths for found in runs_at(path)}
    for directory in once.values():
        run, unfinished = _read(directory)
        runs += [run] if run else []
        notes += [unfinished] if unfinished else []
    shown = ", ".join(map(str, paths))
    require(bool(runs), f"a comparison needs at least one finished run. Received: none in {shown}.")
    _require_comparable(runs)
    groups = by_settings(runs)
    names = labels_of(groups)
    require(
        len(labels) in (0, len(groups)),
        f"--labels must name {len(groups)} groups ({', '.join(names)}). Received: {len(labels)}.",
    )
    named = zip(labels or names, groups, strict=True)
    return RunGroups(
        tuple(SeedGroup(label, {run.seed: run.matrix for run in group}, group[0].method) for label, group in named),
        tuple(map(tuple, groups)),
        (*notes, *_differing_data(groups)),
    )


def _read(path: Path) -> tuple[StoredRun | None, str]:
    """A run; or why it is left out."""
    run = RunDirectory(path)
    stored = read_settings(run.config)
    method = stored.get("method")
    require(isinstance(method, str), f"{run.config} must name a method. Received: {method!r}.")
    if not run.results.is_file():
        return None, f"{path} is left out: it has no results yet."
    matrix, results = run.load(), run.read_results()
    if matrix is None or not matrix.finished:
        learned = 0 if matrix is None else len(matrix.rows)
        return None, f"{path} is left out: {learned} of {results['num_tasks']} tasks are learned."
    settings = dict(with_present_names(stored, str(method)))
    provenance = provenance_of(stored)
    settings.pop("provenance", None)
    seed = settings.pop("seed", 0)
    complete = with_defaults(_blank(settings, str(method), run.config), settings)
    return StoredRun(
        path,
        {name: value for name, value in complete.items() if name != "seed"},
        int(str(seed)),
        str(provenance.get("preset", "")),
        matrix,
        None if provenance.get("fingerprint") is None else str(provenance["fingerprint"]),
    ), ""


def _blank(settings: Mapping[str, object], method: str, config: Path) -> Experiment:
    """An experiment of the same benchmark and method, for the defaults of settings that are newer than a run."""
    name = str(settings.get("benchmark"))
    options = methods.load(method).Config()
    return Experiment(benchmark=name, method=method, method_options=options, data=_pipeline(name, config).Config())


def _pipeline(benchmark: str, config: Path) -> ModuleType:
    require(benchmark.isidentifier(), f"{config} must name a benchmark. Received: {benchmark}.")
    name = f"data_pipelines.{benchmark}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigurationError(f"{config}: there is no module {name}.") from None


def _require_comparable(runs: Sequence[StoredRun]) -> None:
    """Require one benchmark, one data set, and the same tasks."""
    first = runs[0]
    for run in runs:
        of_first = f"({first.path}) and"
        one, other = str(first.settings["benchmark"]), str(run.settings["benchmark"])
        require(one == other, f"runs must be of one benchmark. Received: {one} {of_first} {other} ({run.path}).")
        require(
            first.fingerprint == run.fingerprint,
            f"runs must be of the same data. Received: fingerprint {first.fingerprint} {of_first} {run.fingerprint} "
            f"({run.path}).",
        )
        tasks, others = (", ".join(each.matrix.task_names) for each in (first, run))
        require(tasks == others, f"runs must have the same tasks. Received: {tasks} {of_first} {others} ({run.path}).")


def _differing_data(groups: Sequence[Sequence[StoredRun]]) -> list[str]:
    """A note where settings of the data differ between groups."""
    first = groups[0][0].settings
    changed = {
        name: None for group in groups for name in differences(first.get("data"), group[0].settings.get("data"), "data")
    }
    return [f"settings of the data differ between methods: {', '.join(changed)}."] if changed else []
