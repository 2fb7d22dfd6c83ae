"""Figures of runs for a paper: ``python -m trainers.plot RUN ... --what accuracy --out accuracy.pdf``.

RUN is a run directory, or a directory of seeds that --seeds has written. Lines are means over seeds, bands their
intervals. Fonts are embedded; methods differ by colour, dash and marker.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from clrnn_tf.analysis import plots
from clrnn_tf.analysis.comparison import MethodComparison
from clrnn_tf.analysis.curves import Curves, curves_of
from clrnn_tf.analysis.style import WIDTH, save
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.run_directory import RunDirectory
from export.command_line import Parser
from trainers.compare import add_choices, compared
from trainers.failures import guarded
from trainers.run_groups import RunGroups, StoredRun, read_groups

PROGRAM = "python -m trainers.plot"
ENDINGS = (".pdf", ".png", ".svg")
_WIDTHS = (1.5, 20.0)


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command line and return the exit code: 0, 2 for bad input, 130 if interrupted."""
    return guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments, program), "stopped.")


def parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """The flags of the command."""
    parsed = Parser(program, (__doc__ or "").partition("\n\n")[2])
    add_choices(parsed)
    add = parsed.add_argument
    add("--what", choices=(*plots.FIGURES, "curves"), default="accuracy", help="what is drawn (default: accuracy)")
    add("--out", metavar="FILE", type=Path, required=True, help=f"file to write; ends with {', '.join(ENDINGS)}")
    add("--width", type=float, default=WIDTH, help=f"inches (default: {WIDTH}, the width of a page's text)")
    return parsed


def _run(arguments: Sequence[str], program: str) -> int:
    options = parser(program).parse_intermixed_args(arguments)
    ending, (narrowest, widest) = options.out.suffix.lower(), _WIDTHS
    require(ending in ENDINGS, f"--out must end with {', '.join(ENDINGS)}. Received: {options.out}.")
    require(
        narrowest <= options.width <= widest,
        f"--width must be in [{narrowest:g}, {widest:g}] inches. Received: {options.width}.",
    )
    found = read_groups(options.runs, options.labels)
    comparison = compared(options, found)
    if options.what == "curves":
        figure = _curves(comparison, found, options.width)
    else:
        figure = plots.FIGURES[options.what](comparison, options.width)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save(figure, options.out)
    print(f"{options.what} of {', '.join(group.label for group in found.groups)} in {options.out}")
    return 0


def _curves(comparison: MethodComparison, found: RunGroups, width: float) -> plots.Figure:
    """The validation scores in the logs; training accuracy where there is no validation."""
    metric = comparison.metric
    for kind in ("validation", "train"):
        logs = [[_curves_of(run, metric, kind) for run in runs] for runs in found.runs]
        if all(curves for of_group in logs for curves in of_group):
            name = f"{'training' if kind == 'train' else kind} {metric.replace('_', ' ')}"
            unit = f", {comparison.unit}" if comparison.unit else ""
            return plots.curves(comparison, logs, f"{name}{unit}", width)
    raise ConfigurationError(f"--what curves needs {metric} in metrics.jsonl of every run. Received: a run without.")


def _curves_of(run: StoredRun, metric: str, kind: str) -> Curves:
    log = RunDirectory(run.path).metrics
    require(log.is_file(), f"--what curves needs the log of every run. Received: no {log}.")
    try:
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return curves_of(lines, metric, kind)
    except (AttributeError, LookupError, ValueError) as error:
        raise ConfigurationError(f"{log} is damaged ({error}).") from None


if __name__ == "__main__":
    sys.exit(main())
