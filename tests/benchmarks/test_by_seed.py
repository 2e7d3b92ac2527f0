"""Intervals over seeds against scipy's own."""

import numpy as np
import pytest
from scipy import stats
from text_layers.benchmarks.lora.by_seed import estimate

pytestmark = pytest.mark.any_comfyui


def test_the_interval_is_scipys_and_holds_when_the_test_says_so():
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.5, 3.0):
        runs = shift + rng.normal(size=5)
        one, test = estimate(runs), stats.ttest_1samp(runs, 0)
        low, high = test.confidence_interval(0.95)
        assert (one.mean - one.half, one.mean + one.half) == pytest.approx((low, high))
        assert one.p == pytest.approx(test.pvalue) and one.holds == (test.pvalue < 0.05)


def test_each_run_is_shown():
    assert estimate([1, 77, 8]).text(" %", 0) == "29 ± 104 % (1, 77, 8)"
    assert estimate([-1.0, 1.0]).text("", 1, "+") == "+0.0 ± 12.7 (-1.0, +1.0)"
    with pytest.raises(ValueError, match="at least two"):
        estimate([3.0])
