"""What stops a command, said in one line; the exit code that belongs to it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from clrnn_tf.errors import ConfigurationError
from trainers.streams import drop_output, one_line_warnings, outliving_terminal, unencodable_as_escapes

_LONGEST_NAME = 200


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
        with outliving_terminal(), one_line_warnings():
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
    except out_of_memory() as error:
        return _say(f"error: {one_line(error)}", 1)
    except KeyboardInterrupt:
        return _say(f"\n{interrupted}", 130)
    return code


def out_of_memory() -> tuple[type[Exception], ...]:
    """The errors that say that memory or the disk is full; TensorFlow's as well, where it is loaded."""
    if "tensorflow" not in sys.modules:
        return (MemoryError,)
    import tensorflow as tf

    return MemoryError, tf.errors.ResourceExhaustedError


def one_line(error: Exception) -> str:
    """What the system refused, as one sentence."""
    if isinstance(error, out_of_memory()):
        if "No space left" in str(error):
            return "No space left on device."
        return "there is not enough memory. Make the network, the batches or the data smaller."
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{name[:_LONGEST_NAME]}."
    return " ".join(str(error).split())


def _say(line: str, code: int) -> int:
    if sys.stderr is not None:
        print(line, file=sys.stderr)
    return code
