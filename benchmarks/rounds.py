"""Contestants take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_TURN = 0.12  # seconds that a turn takes at least
_PAUSE = 0.02  # seconds between turns, for the last one's threads to fall asleep
_FEWEST = 3  # rounds


class Contestant(NamedTuple):
    """One way of doing one kind of step."""

    kind: str
    """What is done: `hnet_first`, `hnet_all`, `fine_tuning`, `forward`."""
    variant: str
    """Who does it."""
    run: Callable[[int], None]
    """Does so many steps and returns when they are done."""
    cycle: int = 1
    """Steps that belong together, their batches being of different lengths."""


class Timing(NamedTuple):
    """Milliseconds per step of a contestant over its turns."""

    kind: str
    variant: str
    median_ms: float
    low_ms: float
    """10th percentile."""
    high_ms: float
    """90th percentile."""
    turns: int
    steps_per_turn: int


class Interleaved(NamedTuple):
    """Outcome of taking turns."""

    timings: list[Timing]
    probes: list[dict[str, float]]
    """What the probe returned in each round."""
    failures: dict[tuple[str, str], str]
    """Why a contestant could not start, by (kind, variant)."""


def interleave(contestants: Sequence[Contestant], seconds: float, probe: Callable[[], dict[str, float]]) -> Interleaved:
    """Let contestants take turns in an order drawn for each round, for about so many seconds after warm-up.

    Args:
      contestants: Those who take turns.
      seconds: How long; at least three rounds are made.
      probe: Called once a round, to measure the machine itself.
    """
    ready, failures = _warmed_up(contestants)
    turns = [_steps_per_turn(each) for each in ready]
    times: list[list[float]] = [[] for _ in ready]
    probes, order = [], np.random.default_rng(0)
    began = time.perf_counter()
    while len(probes) < _FEWEST or time.perf_counter() - began < seconds:
        for index in order.permutation(len(ready)):
            time.sleep(_PAUSE)
            times[index].append(_milliseconds(ready[index].run, turns[index]) / turns[index])
        probes.append(probe())
    return Interleaved(list(map(_timing, ready, times, turns)), probes, failures)


def single_steps(run: Callable[[int], None], seconds: float, at_most: int = 500) -> dict[str, float]:
    """Median and 99th percentile of steps timed one by one, in ms, and their number."""
    run(3)
    times, began = [], time.perf_counter()
    while not times or (len(times) < at_most and time.perf_counter() - began < seconds):
        times.append(_milliseconds(run, 1))
    return {
        "median_ms": float(np.median(times)),
        "p99_ms": float(np.percentile(times, 99)),
        "count": len(times),
    }


def _warmed_up(contestants: Sequence[Contestant]) -> tuple[list[Contestant], dict[tuple[str, str], str]]:
    """Those whose first steps succeed; programs are compiled here."""
    ready, failures = [], {}
    for each in contestants:
        try:
            each.run(each.cycle)
            each.run(each.cycle)
        except Exception as error:  # noqa: BLE001 - a user's plain code may not compile; its row then says so
            failures[each.kind, each.variant] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
        else:
            ready.append(each)
    return ready, failures


def _steps_per_turn(contestant: Contestant) -> int:
    cycle_seconds = min(_milliseconds(contestant.run, contestant.cycle) for _ in range(3)) / 1e3
    return contestant.cycle * max(1, math.ceil(_TURN / cycle_seconds))


def _milliseconds(run: Callable[[int], None], steps: int) -> float:
    began = time.perf_counter()
    run(steps)
    return 1e3 * (time.perf_counter() - began)


def _timing(contestant: Contestant, times: list[float], steps: int) -> Timing:
    low, median, high = (float(value) for value in np.percentile(times, [10, 50, 90]))
    return Timing(contestant.kind, contestant.variant, median, low, high, len(times), steps)
