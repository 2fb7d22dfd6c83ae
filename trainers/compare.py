"""Tables and figures of runs with several seeds: ``python -m trainers.compare RUN ...``.

RUN is a run directory, or a directory of seeds that --seeds has written. Runs that differ in their seed only are one
method; its mean, standard error and interval are shown, overall and task by task, and the differences from one method
over the same seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from clrnn_tf.analysis import formats
from clrnn_tf.analysis.comparison import MethodComparison, compare
from clrnn_tf.analysis.statistics import LEVEL
from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import require
from clrnn_tf.recording.run_directory import as_json
from export.command_line import Parser
from trainers.failures import guarded
from trainers.run_groups import RunGroups, read_groups

PROGRAM = "python -m trainers.compare"


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command line and return the exit code: 0, 2 for bad input, 130 if interrupted."""
    return guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments, program), "stopped.")


def parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """The flags of the command."""
    parsed = Parser(program, (__doc__ or "").partition("\n\n")[2])
    add_choices(parsed)
    add = parsed.add_argument
    add("--against", metavar="LABEL", help="the method that is subtracted from the others (default: the first)")
    add("--format", choices=tuple(FORMATS), default="markdown", help="what is printed (default: markdown)")
    add("--out", metavar="DIR", type=Path, help="also write every format and figure (PDF, PNG) into this directory")
    return parsed


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Flags that say what is compared, of this command and of `python -m trainers.plot`."""
    add = parser.add_argument
    add("runs", metavar="RUN", nargs="+", type=Path, help="run directory, or directory of seeds")
    add("--metric", help="accuracy, loss, weighted_f1, ... (default: accuracy, or what there is instead)")
    add("--level", type=float, default=LEVEL, help=f"of the intervals (default: {LEVEL})")
    add("--labels", metavar="LABEL", nargs="+", default=[], help="names of the methods, in the order of the runs")


def compared(options: argparse.Namespace, found: RunGroups, against: str | None = None) -> MethodComparison:
    """The comparison that the flags ask for; says on standard error what to know about the runs.

    Raises:
      ConfigurationError: Runs or flags are not as they must be.
    """
    require(0.0 < options.level < 1.0, f"--level must be between 0 and 1. Received: {options.level}.")
    metric = options.metric or found.groups[0].matrices[0].headline
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    return compare(found.groups, metric, options.level, against)


def json_of(comparison: MethodComparison, found: RunGroups) -> str:
    """Everything, with the directories and settings of the runs."""
    methods = [
        {"label": group.label, "runs": [str(run.path) for run in runs], "settings": runs[0].settings}
        for group, runs in zip(found.groups, found.runs, strict=True)
    ]
    return as_json({**formats.as_dict(comparison), "provenance": methods}, indent=2)


FORMATS: dict[str, Callable[[MethodComparison, RunGroups], str]] = {
    "markdown": lambda comparison, found: formats.markdown(comparison),
    "latex": lambda comparison, found: formats.latex(comparison),
    "csv": lambda comparison, found: formats.csv_of_scores(comparison),
    "json": json_of,
}


def _run(arguments: Sequence[str], program: str) -> int:
    options = parser(program).parse_intermixed_args(arguments)
    if options.out is not None:
        require(
            options.out.is_dir() or not options.out.exists(), f"--out must be a directory. Received: {options.out}."
        )
    found = read_groups(options.runs, options.labels)
    comparison = compared(options, found, options.against)
    print(FORMATS[options.format](comparison, found), end="")
    if options.out is not None:
        write(comparison, found, options.out)
        print(f"tables and figures in {options.out}", file=sys.stderr)
    return 0


def write(comparison: MethodComparison, found: RunGroups, out: Path) -> None:
    """Write every format, and the figures as PDF and PNG."""
    from clrnn_tf.analysis.plots import FIGURES  # matplotlib takes a second to load
    from clrnn_tf.analysis.style import save

    out.mkdir(parents=True, exist_ok=True)
    for name, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv"), ("json", "json")):
        write_text(out / f"comparison.{ending}", FORMATS[name](comparison, found))
    write_text(out / "differences.csv", formats.csv_of_differences(comparison))
    for name, draw in FIGURES.items():
        figure = draw(comparison)
        for ending in ("pdf", "png"):
            save(figure, out / f"{name}.{ending}")


if __name__ == "__main__":
    sys.exit(main())
