"""The command line that all benchmarks share: settings in, a run directory out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from clrnn_tf.errors import ConfigurationError
from trainers.execute import execute
from trainers.failures import OUT_OF_MEMORY, one_line
from trainers.help import print_help, print_presets
from trainers.presets import Benchmark
from trainers.settings import parse
from trainers.streams import drop_output, one_line_warnings, unencodable_as_escapes


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


def guarded(
    run: Callable[[], int],
    interrupted: str = "stopped; the same command with --resume continues where its last checkpoint is.",
) -> int:
    """The exit code of `run`; what stops it is said in one line on standard error.

    Args:
      run: What is done.
      interrupted: What is said after an interrupt.
    """
    try:
        unencodable_as_escapes()
        with one_line_warnings():
            code = run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except ConfigurationError as error:
        return _say(f"error: {' '.join(str(error).splitlines())}", 2)
    except BrokenPipeError:  # as in `... | head`
        drop_output()
        return 1
    except OSError as error:
        if not error.filename:  # standard output could not be written
            drop_output()
        return _say(f"error: {one_line(error)}", 2)
    except OUT_OF_MEMORY as error:
        return _say(f"error: {one_line(error)}", 1)
    except KeyboardInterrupt:
        return _say(f"\n{interrupted}", 130)
    return code


def _run(benchmark: Benchmark, arguments: list[str], program: str) -> int:
    command = parse(benchmark, arguments)
    if command.options.help:
        print_help(command, program or benchmark.program)
    elif command.options.list_presets:
        print_presets(benchmark, program or benchmark.program)
    else:
        return execute(command)
    return 0


def _say(line: str, code: int) -> int:
    if sys.stderr is not None:
        print(line, file=sys.stderr)
    return code
