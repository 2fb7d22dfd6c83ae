"""Statistics over seeds, against numbers worked out by hand, tables of the t distribution, and a test of SciPy."""

import math

import numpy as np
import pytest

from clrnn_tf.analysis.statistics import estimate, paired_difference
from clrnn_tf.errors import ConfigurationError


@pytest.mark.parametrize(
    ("degrees", "level", "quantile"),
    [(1, 0.95, 12.7062), (2, 0.95, 4.3027), (4, 0.9, 2.1318), (9, 0.95, 2.2622), (9, 0.99, 3.2498), (30, 0.95, 2.0423)],
)
def test_quantiles_are_those_of_the_printed_tables(degrees, level, quantile):
    found = estimate([*([1.0, -1.0] * (degrees // 2)), 0.0, *([0.0] * (degrees % 2))], level)
    assert found.n == degrees + 1
    assert found.high == pytest.approx(quantile * found.sem, rel=5e-5)


def test_mean_error_and_interval_of_four_values():
    """2, 4, 4, 6: mean 4, sample variance (4 + 0 + 0 + 4) / 3, so SEM = sqrt(8 / 3 / 4) = 0.81650; t(3) = 3.18245."""
    found = estimate([2, 4, 4, 6])
    assert found.mean == 4
    assert found.sem == pytest.approx(0.816497, abs=1e-6)
    assert found.high - 4 == pytest.approx(3.182446 * 0.816497, abs=1e-5)
    assert 4 - found.low == pytest.approx(found.high - 4)
    assert found.n == 4


def test_one_value_has_a_mean_and_no_error():
    found = estimate([7.0])
    assert (found.mean, found.n) == (7.0, 1)
    assert math.isnan(found.sem) and math.isnan(found.low) and math.isnan(found.high)
    assert math.isnan(estimate([]).mean)


def test_a_value_that_is_no_number_leaves_no_estimate():
    assert all(math.isnan(number) for number in estimate([1.0, math.nan, 2.0])[:4])


def test_an_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(3.0, 2.0, (4000, 5))
    covered = [low <= 3.0 <= high for _, _, low, high, _ in map(estimate, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_differences_are_taken_seed_by_seed():
    """Differences 1, 2, 3: mean 2, SEM 1 / sqrt(3), t = 3.4641 with 2 degrees of freedom; p = 1 - t / sqrt(2 + t^2)."""
    one, other = {0: 11.0, 1: 22.0, 2: 33.0, 9: 0.0}, {0: 10.0, 1: 20.0, 2: 30.0, 5: 99.0}
    found = paired_difference(one, other)
    assert found.seeds == (0, 1, 2)
    assert found.estimate.mean == pytest.approx(2.0)
    assert found.estimate.sem == pytest.approx(1 / math.sqrt(3))
    assert found.p_value == pytest.approx(1 - math.sqrt(12) / math.sqrt(14))


def test_the_test_is_the_paired_one_of_scipy():
    from scipy import stats

    generator = np.random.default_rng(1)
    one = dict(enumerate(generator.normal(90, 1, 10)))
    other = {seed: value - 0.5 + generator.normal(0, 0.4) for seed, value in one.items()}
    assert paired_difference(one, other).p_value == pytest.approx(
        stats.ttest_rel(list(one.values()), list(other.values())).pvalue
    )


def test_differences_without_spread_decide_by_themselves():
    assert paired_difference({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).p_value == 1.0
    assert paired_difference({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0}).p_value == 0.0
    assert math.isnan(paired_difference({0: 1.0}, {0: 2.0}).p_value)
    assert paired_difference({0: 1.0}, {1: 2.0}).seeds == ()


@pytest.mark.parametrize("level", [1.0, 0.0, 95.0])
def test_levels_out_of_range_are_refused(level):
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        estimate([1.0, 2.0], level)
