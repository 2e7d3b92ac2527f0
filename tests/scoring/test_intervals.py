"""Intervals against scipy's exact ones, and how often they hold."""

import numpy as np
import pytest
from scipy.stats import binomtest
from text_layers.scoring.intervals import interval, lost, p_value, rate

pytestmark = pytest.mark.any_comfyui


@pytest.mark.parametrize(("good", "of"), [(0, 1), (1, 1), (0, 36), (36, 36), (78, 80), (5, 9)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_rates_are_clopper_and_pearson(good, of, level):
    wanted = binomtest(good, of).proportion_ci(level, method="exact")
    assert rate(good, of, level) == pytest.approx((good / of, wanted.low, wanted.high))
    assert interval([True] * good + [False] * (of - good), level=level) == pytest.approx((good / of, wanted.low, wanted.high))


def test_of_scores_it_is_the_same_bound():
    """Values that are nearly zeros and ones take the way of scores: 0.01 is what 4000 draws of the parts leave."""
    values = [1.0] * 12 + [0.0] * 5 + [1e-9]
    assert interval(values) == pytest.approx(rate(12, 18), abs=0.01)


def test_one_score_says_little_and_equal_scores_not_everything():
    assert interval([0.5])[1] < 0.02 and interval([0.5])[2] > 0.98
    mean, lower, upper = interval([0.3] * 8)
    assert mean == pytest.approx(0.3) and lower < 0.25 and upper > 0.4


@pytest.mark.parametrize("draw", [
    lambda rng: rng.random(8), lambda rng: rng.beta(0.2, 3, 8), lambda rng: rng.beta(8, 0.3, 8),
    lambda rng: (rng.random(8) < 0.9) * rng.random(8),
])  # fmt: skip
def test_scores_are_inside_as_often_as_promised(draw):
    """However they are spread. 1,500 samples of a right interval are outside in 75, and 3 standard deviations more in 0.1 % of trials."""
    rng = np.random.default_rng(1)
    mean = np.mean([draw(rng) for _ in range(20000)])
    inside = sum(lower <= mean <= upper for _, lower, upper in (interval(draw(rng), draws=800) for _ in range(1500)))
    assert inside >= 1500 * 0.95 - 3 * (1500 * 0.95 * 0.05) ** 0.5


def test_differences_lie_between_minus_one_and_one():
    mean, lower, upper = interval([0, 0, 0, -1, 0, 0, 0, 0], low=-1)
    assert mean == -0.125 and lower < -0.4 and 0.1 < upper < 0.5


def test_paired():
    before, after = [1, 1, 1, 1, 0, 1], [1, 0, 0, 1, 1, 1]
    gone, of, share, lower, upper = lost(before, after)
    wanted = binomtest(2, 5).proportion_ci(method="exact")
    assert (gone, of, share, lower, upper) == pytest.approx((2, 5, 0.4, wanted.low, wanted.high))
    assert p_value(before, after) == pytest.approx(binomtest(2, 3, alternative="greater").pvalue)
    assert p_value([1, 1], [1, 1]) == 1


def test_of_nothing_nothing_is_known():
    share, *bounds = rate(0, 0)
    assert np.isnan(share) and bounds == [0, 1]
