"""Runs a command with ``--seeds``, and shows what its runs say together."""

from __future__ import annotations

from clrnn_tf.analysis.comparison import compare
from clrnn_tf.analysis.formats import markdown
from clrnn_tf.recording.run_directory import RunDirectory
from trainers.execute import is_finished
from trainers.run_groups import read_groups
from trainers.seed_processes import BAD_INPUT, run_all
from trainers.seeds import SeedPlan, SeedRun


def run_seeds(plan: SeedPlan) -> int:
    """Do what is left to do of a plan and return the exit code: 1 where a run failed, 2 where its input was bad."""
    left = [run for run in plan.runs if not _is_done(run)]
    count = f"{len(plan.runs)} seeds of {plan.benchmark.name}"
    print(f"{count}, {plan.processes} at once, to {plan.out}; {len(plan.runs) - len(left)} are finished", flush=True)
    codes = run_all(plan, left)
    matrices = [RunDirectory(run.path).load() for run in plan.runs]
    if any(matrix is not None and matrix.finished for matrix in matrices):
        _print_table(plan)
    if not any(codes.values()):
        return 0
    return BAD_INPUT if BAD_INPUT in codes.values() else 1


def _print_table(plan: SeedPlan) -> None:
    """Means over all finished runs of the directory, also those of earlier commands."""
    groups = read_groups([plan.out]).groups
    print(f"\n{markdown(compare(groups, groups[0].matrices[0].headline))}")
    print(f"more, and figures: clrnn compare {plan.out} --out DIR", flush=True)


def _is_done(run: SeedRun) -> bool:
    """Whether a run is to be continued that has nothing left to do; ``--infer-task`` asks it something.

    Where a directory of data was typed, the command of the run looks whether it is the one that the run read.
    """
    asks = any(flag in run.arguments for flag in ("--infer-task", "--data-dir"))
    return "--resume" in run.arguments and not asks and is_finished(RunDirectory(run.path))
