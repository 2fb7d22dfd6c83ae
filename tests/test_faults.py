"""Writes of a run fail, one in each run: what is on the disk stays valid, and the run can be continued."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EVERY = int(os.environ.get("CLRNN_FAULTS_EVERY", "1"))
"""Of so many calls, one is made to fail; all calls take about 15 minutes of processor time."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="needs gcc and preloading")
def test_a_run_survives_a_fault_at_any_write(tmp_path):
    library = tmp_path / "libfaults.so"
    source = ROOT / "tests" / "faults.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    command = [sys.executable, "-m", "tests.faults", str(library), str(tmp_path), str(EVERY)]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    ends = json.loads(done.stdout.splitlines()[-1])
    for counts in ends.values():
        assert counts["calls"] > 20
        assert counts["ended"] + counts["failed and continued"] >= counts["calls"] // EVERY
    assert ends["short write"]["failed and continued"] == 0
    print(ends)
