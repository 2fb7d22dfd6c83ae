"""Commands whose terminal is closed while they run, without a signal, as after ``disown``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CODE = """
import sys
from pathlib import Path
from trainers.failures import guarded

def run():
    print("before", flush=True)
    sys.stdin.read()  # ends when the terminal is gone
    print("after", flush=True)
    print("and after", file=sys.stderr)
    Path(sys.argv[1]).touch()
    return 3

sys.exit(guarded(run))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_command_outlives_its_terminal(tmp_path):
    import pty

    terminal, inner = pty.openpty()
    command = [sys.executable, "-c", CODE, str(tmp_path / "done")]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=inner, stderr=inner, start_new_session=True
    )
    os.close(inner)
    assert os.read(terminal, 1000).split() == [b"before"]
    os.close(terminal)
    process.communicate()
    assert process.returncode == 3
    assert (tmp_path / "done").exists()
