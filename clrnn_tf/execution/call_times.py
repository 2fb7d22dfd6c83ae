"""How long calls of compiled functions take, and how much of it is compilation.

A function is traced and compiled in the calls that bring new shapes. TensorFlow does not tell Python when XLA compiles,
so the time is estimated: what the calls of one kind took beyond the usual one, which is their lower median. Whatever
else slows calls down is counted, too, such as other programs on the same machine.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Hashable


class CallTimes:
    """Times of calls by kind; calls of one kind do equal work per repetition.

    Example: the first of three calls compiles for 9 seconds.
      >>> times = CallTimes()
      >>> for seconds in (10.0, 1.0, 1.0):
      ...     times.add("steps of task 0", seconds, repetitions=50)
      >>> times.seconds, times.compile_seconds
      (12.0, 9.0)
    """

    def __init__(self) -> None:
        self._calls: dict[Hashable, list[tuple[float, int]]] = defaultdict(list)

    def add(self, kind: Hashable, seconds: float, repetitions: int = 1) -> None:
        """Enter a call that did the same thing `repetitions` times."""
        self._calls[kind].append((seconds, repetitions))

    @property
    def seconds(self) -> float:
        """Of all calls."""
        return sum(seconds for calls in self._calls.values() for seconds, _ in calls)

    @property
    def compile_share(self) -> float:
        """`compile_seconds` of `seconds`; 0 before the first call."""
        return self.compile_seconds / self.seconds if self.seconds else 0.0

    @property
    def compile_seconds(self) -> float:
        """What calls took beyond the usual ones; 0 for kinds that were called once."""
        return sum(map(_beyond_usual, self._calls.values()))


def _beyond_usual(calls: list[tuple[float, int]]) -> float:
    usual = statistics.median_low(seconds / repetitions for seconds, repetitions in calls)
    return max(0.0, sum(seconds - usual * repetitions for seconds, repetitions in calls))
