"""Write the report of runs anew, or one of several runs and seeds: ``python -m trainers.report RUN...``.

Of one run, its report.html is written again. Of several runs of the same tasks, one page sets them side by side; runs
that differ in their seed alone are one row, with the standard error of their mean.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.comparisons import Comparison, comparisons_from
from clrnn_tf.recording.report import write_report, write_report_of_several
from clrnn_tf.yaml_files import read_settings
from export.command_line import Parser
from trainers.expected import expected_of
from trainers.failures import guarded
from trainers.seeds import runs_at
from trainers.settings import parse

PROGRAM = "python -m trainers.report"


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command line and return the exit code: 0, or 2 for bad input."""
    return guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments, program), "stopped.")


def parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """The flags of the command."""
    parsed = Parser(program, (__doc__ or "").partition("\n\n")[2])
    add = parsed.add_argument
    add("runs", metavar="RUN", nargs="+", type=Path, help="run directory, or directory of seeds")
    add("--out", metavar="FILE", type=Path, help="page to write; by default report.html in RUN, or above several")
    add(
        "--compare-with",
        metavar="PATH",
        nargs="+",
        type=Path,
        default=[],
        help="run directories or files of python -m trainers.perceptron to set beside them",
    )
    return parsed


def _run(arguments: Sequence[str], program: str) -> int:
    options = parser(program).parse_intermixed_args(arguments)
    runs = list(dict.fromkeys(run for path in options.runs for run in _with_results(path)))
    comparisons = [row for path in options.compare_with for row in comparisons_from(path)]
    comparisons += dict.fromkeys(expected for run in runs for expected in _expected(run))
    if len(runs) == 1:
        print(f"report in {write_report(runs[0], comparisons, options.out)}")
        return 0
    out = options.out or Path(os.path.commonpath([run.absolute() for run in runs])) / "report.html"
    print(f"report of {len(runs)} runs in {write_report_of_several(runs, out, comparisons)}")
    return 0


def _with_results(path: Path) -> list[Path]:
    """The run at a path, or those of its seeds that have results."""
    runs = runs_at(path)
    begun = [run for run in runs if (run / "results.json").is_file()]
    require(bool(begun), f"no results in {path}: no task has been learned.")
    for run in runs:
        if run not in begun:
            print(f"{run} is left out: it has no results yet.")
    return begun


def _expected(run: Path) -> Iterator[Comparison]:
    """The figures that a run should come near, where its settings are those of a preset."""
    if not (run / "config.yaml").is_file():
        return
    name = str(read_settings(run / "config.yaml").get("benchmark", ""))
    try:
        benchmark = importlib.import_module(f"trainers.{name}").BENCHMARK
        command = parse(benchmark, ["--resume", "--out", str(run)])
    except (ConfigurationError, ImportError, AttributeError):
        return  # a benchmark of somebody's own, data that have moved, or settings of another version
    yield from expected_of(command)


if __name__ == "__main__":
    sys.exit(main())
