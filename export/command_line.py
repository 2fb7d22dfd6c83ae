"""What the commands of this package share: flags that end in one line, and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from clrnn_tf.errors import ConfigurationError


class Parser(argparse.ArgumentParser):
    """Flags whose errors are one line, as all errors of the project are."""

    def __init__(self, program: str, description: str) -> None:
        super().__init__(
            prog=program,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong.

        Raises:
          ConfigurationError: Always.
        """
        raise ConfigurationError(f"{message}. --help shows what to type.")


def exit_code(run: Callable[[], int]) -> int:
    """What `run` returns, or 2 after bad input, which is said in one line on standard error."""
    try:
        code = run()
        sys.stdout.flush()
    except ConfigurationError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `... | head`
        sys.stdout = None
        return 1
    except OSError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return 130
    return code
