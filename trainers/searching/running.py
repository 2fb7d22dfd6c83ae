"""Runs a search: alone, or as the chief or a worker of several processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from clrnn_tf.errors import ConfigurationError
from trainers.searching.journal import FILE as JOURNAL
from trainers.searching.journal import Journal
from trainers.searching.oracles import Supervision, make_oracle, starts_with_preset
from trainers.searching.plans import Plan
from trainers.searching.tables import BEST, rows_of, table_of, write_tables
from trainers.searching.trials import TrialRunner
from trainers.searching.tuner import RefusedError, SearchTuner


def run_search(plan: Plan) -> int:
    """Do what a plan says and return the exit code.

    Raises:
      ConfigurationError: It cannot go on.
      KeyboardInterrupt: Somebody asked to stop; the run that was going on has written a checkpoint.
    """
    say(f"{plan.command.benchmark.name}, method {plan.experiment.method}, tuner {plan.options.tuner}, to {plan.out}")
    say(f"protocol {plan.protocol}")
    oracle = make_oracle(plan, supervision(plan))
    tuner = SearchTuner(plan, oracle, TrialRunner(plan, lambda: None), say)
    try:
        tuner.search()
    except RefusedError as error:
        raise ConfigurationError(str(error)) from None
    return conclude(plan, oracle)


def supervision(plan: Plan, timeout: float | None = None, told: Callable[[str], None] | None = None) -> Supervision:
    """What the oracle of a plan needs besides its values."""
    journal = Journal(plan.out / JOURNAL)
    return Supervision(journal, starts_with_preset(plan), timeout, say=told or say)


def conclude(plan: Plan, oracle: Any) -> int:
    """Write what was found, print it, and return the exit code."""
    rows = rows_of(plan, [oracle.trials[name] for name in sorted(oracle.trials)])
    best = write_tables(plan, rows)
    Console(highlight=False).print(table_of(plan, rows, best))
    if oracle.keeps_failing:
        last = next(row for row in reversed(rows) if row.status == "failed")
        print(f"error: too many trials failed one after another. The last: {last.note}", file=sys.stderr)
        return 1
    if best is None:
        print("error: no trial may be the best one: all have failed, or none was accepted.", file=sys.stderr)
        return 1
    say(f"best settings in {plan.out / BEST}; train with them, on all tasks and tested on test data:")
    say(f"  {plan.command.benchmark.program} --config {plan.out / BEST}")
    return 0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
