"""The register of runs, `results/registry.jsonl`, and the tables of results, which are made from it.

    python results/registry.py add RUN_DIRECTORY ...      # one line for each finished run
    python results/registry.py tables                     # writes the tables into docs/results.md

The project must be installed, or the repository be on `PYTHONPATH`. A line holds the command that gives the run, its
seed, its figures, wall time, data source and versions. A run of the same command replaces its older line. The page
has its tables between ``<!-- results: NAME -->`` and ``<!-- end -->``; NAME is a benchmark, `pos_tagging by task`, or
`perceptron`, whose figures are in `results/perceptron.json` as its trainer has written them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trainers  # noqa: F401  # isort: skip; loads TensorFlow without its notices
from clrnn_tf.config import with_present_names
from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.changes import differences
from clrnn_tf.recording.comparisons import perceptron_results
from clrnn_tf.recording.run_directory import (
    RunDirectory,
    as_json,
    provenance_of,
)
from clrnn_tf.yaml_files import read_settings
from trainers.presets import Benchmark

_ROOT = Path(__file__).parent.parent
_REGISTRY = _ROOT / "results" / "registry.jsonl"
_PAGE = _ROOT / "docs" / "results.md"
_PERCEPTRON = _ROOT / "results" / "perceptron.json"
_BESIDE_PERCEPTRON = (
    ("from_scratch", "final"),
    ("hnet", "final"),
    ("from_scratch_letters", "final"),
    ("hnet_letters", "during"),
    ("hnet_letters", "final"),
    ("online_ewc_letters", "final"),
    ("fine_tuning_letters", "final"),
)
_LETTERS = "_letters"  # ends the names of presets that read letters, whose accuracy is that of all words
_TABLE = re.compile(r"(<!-- results: ([\w ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

Entry = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description="The register of runs, and the tables made from it.")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="register finished runs")
    adding.add_argument("runs", nargs="+", type=Path, help="run directories")
    writing = commands.add_parser("tables", help="write the tables anew")
    writing.add_argument("--page", type=Path, default=_PAGE, help="where they are")
    for command in (adding, writing):
        command.add_argument("--registry", type=Path, default=_REGISTRY, help="the register")
    options = parser.parse_args(arguments)
    try:
        if options.command == "add":
            add(options.runs, options.registry)
        else:
            page = options.page.read_text(encoding="utf-8")
            write_text(options.page, with_tables(page, read(options.registry)))
            print(f"the tables of {options.page} are up to date")
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def add(runs: Sequence[Path], registry: Path) -> None:
    """Write a line for each run into a register, in place of older ones of the same command."""
    added = [entry_of(path) for path in runs]
    commands = {entry["command"] for entry in added}
    kept = [entry for entry in read(registry) if entry["command"] not in commands]
    write_text(registry, "".join(map(as_json, [*kept, *added])))
    print(f"{len(added)} runs are in {registry}")


def entry_of(path: Path) -> Entry:
    """What the register holds of the run in `path`.

    Raises:
      ConfigurationError: There is no finished run.
    """
    run = RunDirectory(path)
    matrix = run.load()
    require(matrix is not None and matrix.finished, f"only finished runs are registered. Received: {path}.")
    settings = read_settings(run.config)
    settings = with_present_names(settings, str(settings["method"]))
    results = json.loads(run.results.read_text(encoding="utf-8"))
    name = str(settings["benchmark"])
    preset, command = command_of(benchmark_of(name), settings)
    figures = (
        "seed",
        "mean_during_accuracy",
        "mean_final_accuracy",
        "forgetting",
        "mean_final_weighted_f1",
        "task_names",
        "during_accuracy",
        "final_accuracy",
        "num_parameters",
        "data_source",
        "versions",
    )
    return {
        "benchmark": name,
        "method": settings["method"],
        "preset": preset,
        "command": command,
        **{figure: results.get(figure) for figure in figures},
        "seconds": results["timing"]["total_seconds"],
    }


def command_of(benchmark: Benchmark, settings: Mapping[str, object]) -> tuple[str, str]:
    """The preset nearest to a run's settings, and the command: a flag for each setting that differs from the preset."""
    stored = {name: value for name, value in settings.items() if name != "provenance"}
    method, provenance = str(settings["method"]), provenance_of(settings)
    began_with = provenance["preset"]
    changes = {
        name: differences(preset.experiment(benchmark.name, method=method).to_dict(), stored)
        for name, preset in benchmark.presets.items()
        if preset.method == method or name == began_with
    }
    preset = min(changes, key=lambda name: (len(changes[name]), name != began_with))
    words = [benchmark.program]
    if provenance["data_dir"]:
        words.append("--data-dir DIR")
    words.append(f"--preset {preset}")
    if benchmark.presets[preset].method != method:
        words.append(f"--method {method}")
    for name, (_, value) in changes[preset].items():
        words.append(_flag(name.replace("_", "-"), _below_data(value, provenance["data_dir"])))
    return preset, " ".join(words)


def _below_data(value: object, data_dir: object) -> object:
    """A value; a path in the directory of the data begins with DIR."""
    if data_dir and isinstance(value, str) and value.startswith(f"{data_dir}/"):
        return f"DIR{value.removeprefix(str(data_dir))}"
    return value


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):  # --data.align-vectors or --data.no-align-vectors
        group, dot, last = name.rpartition(".")
        return f"--{group}{dot}{'' if value else 'no-'}{last}"
    return f"--{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def benchmark_of(name: str) -> Benchmark:
    """What the trainer of a benchmark says about it."""
    return importlib.import_module(f"trainers.{name}").BENCHMARK


def read(path: Path) -> list[Entry]:
    """All lines of a register; none if there is no such file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def with_tables(page: str, entries: Sequence[Entry]) -> str:
    """A page with its tables made anew from the entries of a register."""

    def table(found: re.Match[str]) -> str:
        name, _, by_task = found[2].partition(" ")
        if name == "perceptron":
            return found[1] + perceptron_table(perceptron_results(_PERCEPTRON), entries) + found[4]
        order = list(benchmark_of(name).presets)
        chosen = [entry for entry in entries if entry["benchmark"] == name]
        chosen.sort(key=lambda entry: (order.index(entry["preset"]), entry["seed"]))
        make = _table_by_task if by_task else _table
        return found[1] + make(chosen) + found[4]

    return _TABLE.sub(table, page)


def _table(entries: Sequence[Entry]) -> str:
    """A row for each command; runs that differ in their seed alone share one, with their means and deviations."""
    has_f1 = any(entry["mean_final_weighted_f1"] is not None for entry in entries)
    names = ["method", "command", "seeds", "during", "final", *["final weighted F1"] * has_f1, "forgetting", "minutes"]
    rows = [f"| {' | '.join(names)} | published: during, final |", "|---" * (len(names) + 1) + "|"]
    runs: dict[str, list[Entry]] = {}
    for entry in entries:
        runs.setdefault(_without_seed(entry["command"]), []).append(entry)
    for command, group in runs.items():
        first, published = group[0], "–"
        expected = benchmark_of(first["benchmark"]).presets[first["preset"]]
        if expected.published_settings and expected.expected and _is_as_preset(first):
            published = f"{_percent(expected.expected.during)}, {_percent(expected.expected.final)}"
        minutes = [entry["seconds"] / 60 for entry in group if entry["seconds"] is not None]
        shown = ["mean_during_accuracy", "mean_final_accuracy", *["mean_final_weighted_f1"] * has_f1, "forgetting"]
        figures = " | ".join(_mean_of_seeds([entry[name] for entry in group]) for name in shown)
        seeds = ", ".join(str(entry["seed"]) for entry in group)
        took = f"{statistics.fmean(minutes):.0f}" if minutes else "–"
        rows.append(f"| {first['method']} | `{command}` | {seeds} | {figures} | {took} | {published} |")
    return "\n".join(rows) + "\n"


def _mean_of_seeds(values: Sequence[float | None]) -> str:
    """`mean ± sample standard deviation`, or the value where there is one run."""
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return "–"
    mean = _percent(statistics.fmean(numbers))
    return mean if len(numbers) == 1 else f"{mean} ± {_percent(statistics.stdev(numbers))}"


def _table_by_task(entries: Sequence[Entry]) -> str:
    """One run of each preset: as it is, on all tasks, of the lowest seed."""
    names: Sequence[str] = max((entry["task_names"] for entry in entries), key=len, default=[])
    firsts: dict[str, Entry] = {}
    for entry in entries:
        if entry["task_names"] == names and _is_as_preset(entry) and not entry["preset"].endswith(_LETTERS):
            firsts.setdefault(entry["preset"], entry)
    whole = list(firsts.values())
    rows = [
        "| during → final | " + " | ".join(f"`{entry['preset']}`" for entry in whole) + " |",
        "|---" * (1 + len(whole)) + "|",
    ]
    for index, name in enumerate(names):
        scores = [
            " → ".join(_percent(entry[f"{when}_accuracy"][index], digits=1) for when in ("during", "final"))
            for entry in whole
        ]
        rows.append(f"| {name} | {' | '.join(scores)} |")
    return "\n".join(rows) + "\n"


def perceptron_table(results: Mapping[str, Any], entries: Sequence[Entry]) -> str:
    """Language by language: the perceptron, and accuracies of registered runs of presets beside it."""
    runs: dict[str, Entry] = {}
    for entry in entries:
        if _is_as_preset(entry):
            runs.setdefault(entry["preset"], entry)
    columns_beside = [(name, when) for name, when in _BESIDE_PERCEPTRON if name in runs]
    beside = [
        dict(zip(runs[name]["task_names"], runs[name][f"{when}_accuracy"], strict=True))
        for name, when in columns_beside
    ]
    shown = [f"`{name}`, {when}" for name, when in columns_beside]
    heads = ["language", "words trained", "all words", "words with a vector", *shown, "CPU s", "model kB"]
    rows = [_row(heads), "|---" * len(heads) + "|"]
    columns = []
    for task in results["tasks"]:
        scores = [task["accuracy"], task["accuracy_with_vector"], *(run.get(task["task"]) for run in beside)]
        sizes = [f"{task['cpu_seconds']:,.0f}", f"{task['model_bytes'] / 1000:,.0f}"]
        rows.append(_row([task["task"], f"{task['train_words']:,}", *_short(scores), *sizes]))
        columns.append(scores)
    means = [None if None in column else statistics.fmean(column) for column in zip(*columns, strict=True)]
    rows.append(_row([f"mean of {len(columns)}", "", *_short(means), "", ""]))
    return "\n".join(rows) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(scores: Sequence[float | None]) -> list[str]:
    return [_percent(score, digits=1) for score in scores]


def _is_as_preset(entry: Entry) -> bool:
    """Whether nothing but the seed differs from the preset; with letters, the place of the vectors may differ, too."""
    command = _without_seed(entry["command"])
    if entry["preset"].endswith(_LETTERS):
        command = re.sub(r" --data\.vectors-dir \S+", "", command)
    return command.endswith(f"--preset {entry['preset']}")


def _without_seed(command: str) -> str:
    return re.sub(r" --seed \d+", "", command)


def _percent(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
