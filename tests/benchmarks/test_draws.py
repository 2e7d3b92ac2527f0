"""What the draws of benchmarks.localization.draws are, and what is counted of them."""

import pytest
from scipy.stats import binomtest
from text_layers.benchmarks.localization import draws

pytestmark = pytest.mark.any_comfyui


def test_draws_share_no_pair_and_differ_in_all_else():
    found = draws.settings(20, 3, 16)
    pairs = [(pair.source, pair.target) for own, _ in found for pair in own]
    assert len(set(pairs)) == len(pairs) == 20 * draws.PAIRS
    settings = [asked for _, asked in found]
    assert len({asked.seed for asked in settings}) == 20 and len({asked.template for asked in settings}) > 15
    assert {asked.steps for asked in settings} <= set(draws.STEPS) and len({asked.cfg for asked in settings}) > 1
    assert all("{word}" in asked.template and "sign" in asked.template for asked in settings)
    # Every pair has noise of its own, from the seed and its number: no two draws share any.
    seeds = [asked.seed + number for asked in settings for number in range(draws.PAIRS)]
    assert len(set(seeds)) == len(seeds)


def test_frequencies():
    found = draws.frequencies(4, [{"layers": [1, 2]}, {"layers": [1]}, {"layers": [1, 2]}])
    wanted = binomtest(2, 3).proportion_ci(method="exact")
    assert found[1][0] == 1 and found[0] == [0, 0, found[0][2], 0] and found[2] == [0.667, round(wanted.low, 3), round(wanted.high, 3), 2]
