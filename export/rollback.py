"""Serve the version before the present one: ``python -m export.rollback DIR``.

DIR is a directory that `python -m export.bundle` has published to. A server that polls its `models.config` changes to
the earlier version; nothing is deleted, so publishing again goes forward.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from export.command_line import Parser, exit_code
from export.releases import roll_back

PROGRAM = "python -m export.rollback"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    return exit_code(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def parser() -> Parser:
    """The flags of the command."""
    parsed = Parser(PROGRAM, (__doc__ or "").partition("\n\n")[2])
    parsed.add_argument("directory", metavar="DIR", type=Path, help="what a server reads")
    return parsed


def _run(arguments: Sequence[str]) -> int:
    for name, version in sorted(roll_back(parser().parse_args(arguments).directory).items()):
        print(f"{name}: version {version} is served now.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
