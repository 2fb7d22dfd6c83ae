"""Which style a method has in figures: the same in those of reports and in those for papers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

_PLACES = {"fine_tuning": 0, "hnet": 1, "from_scratch": 2}
"""Methods that look the same in all figures, whatever stands beside them: their place in the list of styles."""


def places(methods: Sequence[str | None]) -> list[int]:
    """Places of runs in the list of styles: fixed for some methods, else the first that is free.

    Example:
      >>> places(["hnet", "si", "hnet"])
      [1, 0, 2]
    """
    taken = {_PLACES[method]: number for number, method in reversed(list(enumerate(methods))) if method in _PLACES}
    of_runs = {number: place for place, number in taken.items()}
    free = (place for place in itertools.count() if place not in taken)
    return [of_runs[number] if number in of_runs else next(free) for number in range(len(methods))]
