"""What the checkpoints of a real run cost: the arguments are those of a command.

python -m benchmarks.checkpoint_overhead copy-task --preset hnet_short --out runs/overhead

The run is an ordinary one. Two functions are timed while it goes on: what training waits for (variables are copied, and
growing files are brought to the disk), and what the thread does that writes. Everything is compared with the seconds of
the whole run, compilation and tests included, and with its processor time.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clrnn_tf.training.checkpoints import Checkpoints
from trainers import clrnn


@dataclass
class Cost:
    """Of all calls of a function."""

    calls: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    """Seconds of its own thread."""

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose calls are added up here."""

        def call(*arguments: object) -> object:
            began, began_processor = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.calls += 1
                self.seconds += time.perf_counter() - began
                self.processor += time.thread_time() - began_processor

        return call


def main(arguments: list[str]) -> int:
    """Run the command and print what its checkpoints took."""
    waited, written = Cost(), Cost()
    Checkpoints._begin = waited.timed(Checkpoints._begin)  # type: ignore[method-assign]
    Checkpoints._write = written.timed(Checkpoints._write)  # type: ignore[method-assign]
    began = time.perf_counter()
    code = clrnn.main(arguments)
    seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    processor = usage.ru_utime + usage.ru_stime
    print(
        f"{waited.calls} checkpoints in {seconds:.0f} s ({processor:.0f} s of processor time). Training waited for "
        f"them {waited.seconds:.2f} s: {100 * waited.seconds / seconds:.3f} % of the run. They took "
        f"{waited.processor + written.processor:.2f} s of processor time: "
        f"{100 * (waited.processor + written.processor) / processor:.3f} %; writing lasted {written.seconds:.2f} s."
    )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
