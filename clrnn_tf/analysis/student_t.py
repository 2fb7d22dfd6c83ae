"""Student's t distribution for whole degrees of freedom, in closed form, so that SciPy is not needed.

With theta = arctan(t / sqrt(n)), P(|T| <= t) is a finite sum of powers of cos(theta) (Abramowitz & Stegun 1964,
26.7.3 and 26.7.4).
"""

from __future__ import annotations

import math

from clrnn_tf.errors import require

_WIDEST = 2.0**60  # no bracket grows further
_HALVINGS = 200  # more than a float has digits


def probability_within(t: float, degrees: int) -> float:
    """P(|T| <= t) of Student's t with whole `degrees` of freedom.

    Args:
      t: At least 0.
      degrees: n, at least 1.

    Example: with one degree of freedom (Cauchy), half of the probability lies between -1 and 1.
      >>> round(probability_within(1.0, degrees=1), 12)
      0.5
    """
    require(degrees >= 1, f"degrees of freedom must be at least 1. Received: {degrees}.")
    theta = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2 == 1
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for power in range(3 if odd else 2, degrees, 2):
        term *= cosine**2 * (power - 1) / power
        total += term
    return 2.0 / math.pi * (theta + sine * total) if odd else sine * total


def probability_beyond(t: float, degrees: int) -> float:
    """P(|T| > t): the p-value of a two-sided test; t may have either sign."""
    return max(0.0, 1.0 - probability_within(abs(t), degrees))


def half_width(level: float, degrees: int) -> float:
    """The t for which P(|T| <= t) = level, as an interval of that level needs it; found by bisection.

    Example: the 95 % interval of ten values.
      >>> round(half_width(0.95, degrees=9), 4)
      2.2622
    """
    require(0.0 < level < 1.0, f"the level of an interval must be between 0 and 1. Received: {level}.")
    low, high = 0.0, 1.0
    while probability_within(high, degrees) < level and high < _WIDEST:
        low, high = high, 2.0 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if probability_within(middle, degrees) < level:
            low = middle
        else:
            high = middle
    return high
