"""A command whose learning is replaced by many small writes, for races. Started by `tests/test_races.py`.

Everything else is the command's own: settings, the lock, what may be written or replaced. It writes until a process
that was refused says so in the file that $CLRNN_LOST names, so two commands always meet.

CLRNN_LOST=FILE CLRNN_DELAY=SECONDS python -m tests.racing ARGUMENTS
"""

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from clrnn_tf.durable_files import write_text
from trainers import copy_task, execute
from trainers.run import main

LONGEST = 1800.0  # seconds; a busy machine may keep the other process waiting


def _write(session, run, matrix, start):
    """Stands for a run: its results and its log must stay its own."""
    mine, end = json.dumps({"seed": session.command.experiment.seed}), time.monotonic() + LONGEST
    lost, number = Path(os.environ["CLRNN_LOST"]), 0
    while not number or (not lost.exists() and time.monotonic() < end):  # the other one may have been refused already
        number += 1
        write_text(run.results, mine)
        with run.metrics.open("a") as file:
            file.write(mine + "\n")
        os.sched_yield()
    assert lost.exists(), "the other process was not refused"
    assert run.results.read_text() == mine
    assert run.metrics.read_text().splitlines()[-number:] == [mine] * number
    return 0


def _session(command, *_):
    return SimpleNamespace(command=command, provenance={"data_source": "generated"})


def _continued(session, run, matrix):
    return _write(session, run, matrix, None)


if __name__ == "__main__":
    execute._session, execute._learn, execute._continued_run = _session, _write, _continued
    begin = time.perf_counter() + float(os.environ["CLRNN_DELAY"])
    while time.perf_counter() < begin:
        pass
    code = main(copy_task.BENCHMARK, sys.argv[1:])
    if code == 2:
        Path(os.environ["CLRNN_LOST"]).touch()
    sys.exit(code)
