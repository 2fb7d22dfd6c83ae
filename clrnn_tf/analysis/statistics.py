"""Means over seeds and how far to trust them; differences of two methods over the same seeds.

With n values of mean m and sample standard deviation s (n - 1 in the denominator), the standard error of the mean is
SEM = s / sqrt(n), and the interval of level L is m +- t SEM, where t is the quantile of Student's t with n - 1 degrees
of freedom. It holds the true mean in a share L of all experiments if the values are normally distributed. Near 100 %,
accuracies are not: an interval may reach beyond what an accuracy can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import require

LEVEL = 0.95
"""Of intervals, where nothing else is said."""


class Estimate(NamedTuple):
    """A mean over seeds. SEM and interval are nan for fewer than two values, everything where a value is nan."""

    mean: float
    sem: float
    """Standard error of the mean."""
    low: float
    """Lower end of the interval."""
    high: float
    n: int
    """Number of values."""


class Difference(NamedTuple):
    """One method minus another over the seeds that both have."""

    estimate: Estimate
    """Of the differences, one for each seed."""
    p_value: float
    """Two-sided, of the paired t-test that the mean difference is 0; not corrected for further comparisons. nan for
    fewer than two seeds; 1 or 0 where all differences are equal and 0, or equal and not 0."""
    seeds: tuple[int, ...]


def estimate(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Estimate:
    """Mean, SEM and interval of values, one for each seed.

    Raises:
      ConfigurationError: The level is not between 0 and 1.

    Example:
      >>> mean, sem, low, high, n = estimate([1.0, 2.0, 3.0])
      >>> mean, round(sem, 4), round(low, 4), round(high, 4)
      (2.0, 0.5774, -0.4841, 4.4841)
    """
    require(0.0 < level < 1.0, f"the level of an interval must be between 0 and 1. Received: {level}.")
    numbers = np.asarray(values, np.float64)
    n = len(numbers)
    mean = float(numbers.mean()) if n else math.nan
    if n < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, n)
    sem = float(numbers.std(ddof=1)) / math.sqrt(n)
    reach = _quantile((1.0 + level) / 2.0, n - 1) * sem
    return Estimate(mean, sem, mean - reach, mean + reach, n)


def paired_difference(one: Mapping[int, float], other: Mapping[int, float], level: float = LEVEL) -> Difference:
    """`one` minus `other`, seed by seed.

    Args:
      one: Values by seed.
      other: The same of another method; only seeds that both have count.
      level: Of the interval.

    Example:
      >>> paired_difference({0: 90.0, 1: 92.0}, {0: 80.0, 1: 82.0, 2: 5.0}).estimate.mean
      10.0
    """
    seeds = tuple(sorted(one.keys() & other.keys()))
    of_differences = estimate([one[seed] - other[seed] for seed in seeds], level)
    mean, sem = of_differences.mean, of_differences.sem
    if math.isnan(sem):
        p_value = math.nan
    elif sem == 0.0:
        p_value = 1.0 if mean == 0.0 else 0.0
    else:
        p_value = _two_sided(mean / sem, len(seeds) - 1)
    return Difference(of_differences, p_value, seeds)


def _quantile(probability: float, degrees: int) -> float:
    from scipy.stats import t  # takes half a second

    return float(t.ppf(probability, degrees))


def _two_sided(value: float, degrees: int) -> float:
    """P(|T| > value) of Student's t."""
    from scipy.stats import t

    return float(2.0 * t.sf(abs(value), degrees))
