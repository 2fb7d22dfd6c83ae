"""The command line that all benchmarks share: settings in, a run directory out."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trainers.execute import execute
from trainers.failures import guarded
from trainers.help import print_help, print_presets
from trainers.presets import Benchmark
from trainers.seed_runs import run_seeds
from trainers.seeds import asks_for_seeds, plan
from trainers.settings import parse


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None, program: str = "") -> int:
    """Run the command line of a benchmark.

    Args:
      benchmark: What its trainer says about it.
      arguments: Those of the process by default.
      program: How the command is called, for the help; by default `python -m trainers.NAME`.

    Returns:
      The exit code: 0, 1 for a failed run, 2 for bad input, 130 after an interrupt.
    """
    return guarded(lambda: _run(benchmark, list(sys.argv[1:] if arguments is None else arguments), program))


def _run(benchmark: Benchmark, arguments: list[str], program: str) -> int:
    if asks_for_seeds(arguments):
        return run_seeds(plan(benchmark, arguments))
    command = parse(benchmark, arguments)
    if command.options.help:
        print_help(command, program or benchmark.program)
    elif command.options.list_presets:
        print_presets(benchmark, program or benchmark.program)
    else:
        return execute(command)
    return 0
