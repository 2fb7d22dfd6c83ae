"""Commands in processes of their own that share one import of TensorFlow.

A server imports it, computes nothing, and is copied (`fork`) for every command. Threads, devices and the variables of
the environment are those of a process that was started anew, as TensorFlow reads them when it first computes.

python -m tests.forks        # the server: reads one JSON line for each command, and answers with one
"""

import atexit
import contextlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Done(NamedTuple):
    """How a command ended."""

    code: int
    """Exit code; negative for a signal."""
    out: str
    err: str


class Forks:
    """The server; a context manager.

    Example:
      >>> with Forks() as forks:
      ...     forks.run(["trainers.clrnn", "--version"]).code
      0
    """

    def __enter__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._folder = tempfile.TemporaryDirectory()
        self._server = subprocess.Popen([sys.executable, "-m", "tests.forks"], cwd=ROOT, **pipes)
        assert self._server.stdout.readline() == "ready\n"
        self._number = 0
        return self

    def __exit__(self, *error):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()
        self._folder.cleanup()

    def run(self, arguments, environment=None):
        """The end of one command: a module that is run as `python -m`, and its arguments."""
        return self.run_together([arguments], environment=[environment or {}])[0]

    def run_together(self, commands, environment=None):
        """The ends of commands that were begun at once."""
        jobs = []
        for arguments, more in zip(commands, environment or [{}] * len(commands), strict=True):
            self._number += 1
            streams = [os.path.join(self._folder.name, f"{self._number}.{name}") for name in ("out", "err")]
            jobs.append({"arguments": [str(word) for word in arguments], "environment": more, "streams": streams})
        self._server.stdin.write(json.dumps(jobs) + "\n")
        self._server.stdin.flush()
        codes = json.loads(self._server.stdout.readline())
        return [
            Done(code, *(Path(stream).read_text(errors="replace") for stream in job["streams"]))
            for code, job in zip(codes, jobs, strict=True)
        ]


def _serve():
    import keras  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import tensorflow as tf  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        children = [_forked(job) for job in json.loads(line)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), file=answers, flush=True)


def _forked(job):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ.update(job["environment"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(job["streams"], 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        module, *arguments = job["arguments"]
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
