"""Runs a search: alone, or as the chief or a worker of several processes."""

from __future__ import annotations

import sys
from typing import Any

import grpc
from rich.console import Console

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording.run_lock import RunLock
from trainers.searching.journal import FILE as JOURNAL
from trainers.searching.journal import Journal
from trainers.searching.machines import (
    ChiefGoneError,
    SignsOfLife,
    WorkersGoneError,
    connect,
    forget_chief,
    how_to_go_on,
    serve,
    started_workers,
)
from trainers.searching.oracles import Supervision, make_oracle
from trainers.searching.plans import Plan
from trainers.searching.tables import BEST, Row, rows_of, table_of, write_tables
from trainers.searching.trials import TrialRunner
from trainers.searching.tuner import RefusedError, SearchTuner
from trainers.searching.values import starts_with_preset


def run_search(plan: Plan) -> int:
    """Do what a plan says and return the exit code.

    Raises:
      ConfigurationError: It cannot go on.
      KeyboardInterrupt: Somebody asked to stop; the run that was going on has written a checkpoint.
    """
    try:
        if plan.options.role == "worker":
            return _work(plan)
        forget_chief()
        with RunLock(plan.out):
            say(f"{plan.command.benchmark.name}, {plan.experiment.method}, tuner {plan.options.tuner}, to {plan.out}")
            say(f"protocol {plan.protocol}")
            return _lead(plan) if plan.options.role or plan.options.workers else _alone(plan)
    except RefusedError as error:
        raise ConfigurationError(str(error)) from None


def _alone(plan: Plan) -> int:
    oracle = _supervised(plan, None)
    SearchTuner(plan, oracle, TrialRunner(plan, lambda trial: None), say).search()
    return conclude(plan, oracle)


def _lead(plan: Plan) -> int:
    oracle = _supervised(plan, float(plan.options.timeout))
    try:
        with started_workers(plan, plan.options.workers) as workers:
            serve(plan, oracle, workers)
    except WorkersGoneError as error:
        return _fail(f"{error} What has ended is kept; --resume goes on.")
    return conclude(plan, oracle)


def _work(plan: Plan) -> int:
    try:
        say(f"worker of the chief at {connect(plan)}")
        oracle = make_oracle(plan, None)
        signs = SignsOfLife(float(plan.options.timeout), lambda trial: tuner.oracle.get_trial(trial))
        tuner = SearchTuner(plan, oracle, TrialRunner(plan, signs), say)
        tuner.search()
    except ChiefGoneError as error:
        text = str(error)
        return _fail(text if "--resume" in text else f"{text} {how_to_go_on(plan)}")
    except grpc.RpcError:
        return _fail(f"the chief has not answered for {plan.options.timeout} s. {how_to_go_on(plan)}")
    return 0


def _supervised(plan: Plan, timeout: float | None) -> Any:
    """The oracle of a plan, as its journal left it; the tables are written anew after each trial."""
    supervision = Supervision(Journal(plan.out / JOURNAL), starts_with_preset(plan), timeout, say=say)
    oracle = make_oracle(plan, supervision)

    def write() -> None:
        write_tables(plan, _rows(plan, oracle))

    supervision.ended = write
    return oracle


def _rows(plan: Plan, oracle: Any) -> list[Row]:
    return rows_of(plan, [oracle.trials[name] for name in sorted(oracle.trials)])


def conclude(plan: Plan, oracle: Any) -> int:
    """Write what was found, print it, and return the exit code."""
    rows = _rows(plan, oracle)
    best = write_tables(plan, rows)
    Console(highlight=False).print(table_of(plan, rows, best))
    if oracle.keeps_failing:
        last = next(row for row in reversed(rows) if row.status == "failed")
        return _fail(f"too many trials failed one after another. The last: {last.note}")
    if best is None:
        return _fail("no trial may be the best one: all have failed, or none was accepted.")
    say(f"best settings in {plan.out / BEST}; train with them, on all tasks and tested on test data:")
    say(f"  {plan.command.benchmark.program} --config {plan.out / BEST}")
    return 0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def _fail(line: str) -> int:
    print(f"error: {line}", file=sys.stderr, flush=True)
    return 1
