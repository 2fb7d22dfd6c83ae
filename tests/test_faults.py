"""Every write of a run fails once: what is on the disk stays valid, and the run can be continued."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("gcc") is None, reason="needs gcc and preloading")
def test_a_run_survives_a_fault_at_every_write(tmp_path):
    library = tmp_path / "libfaults.so"
    source = ROOT / "tests" / "faults.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    command = [sys.executable, "-m", "tests.faults", str(library), str(tmp_path)]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ends = json.loads(done.stdout.splitlines()[-1])
    for counts in ends.values():
        assert counts["calls"] > 20
        assert counts["ended"] + counts["failed and continued"] == counts["calls"]
    assert ends["short write"]["failed and continued"] == 0
    print(ends)
