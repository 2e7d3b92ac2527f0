"""What is stated of a set was tested on other pairs, and is wrong as rarely as promised."""

import numpy as np
import pytest
from scipy.stats import binomtest
from text_layers.benchmarks.localization.search_errors import Simulated, searched
from text_layers.localization import proof
from text_layers.localization.proof import ERROR, SETS, confirm, needed, weigh
from text_layers.localization.selection import REACH
from text_layers.localization.sweep import Reading
from text_layers.testing.known_answer import KnownAnswer

pytestmark = pytest.mark.any_comfyui


class Rate(KnownAnswer):
    """Every set but that of all layers draws the word with the same probability."""

    rate = 1.0

    def readings(self, candidates, pairs, steps=None):
        self.asked = getattr(self, "asked", set()) | set(pairs)
        self.steps = steps
        drawn = {c: self._rng.random(len(list(pairs))) < (1 if c == self.layers else self.rate) for c in candidates}
        return {c: [Reading(bool(e), float(e), "") for e in exact] for c, exact in drawn.items()}


def test_as_many_words_as_are_said_to_be_needed_are():
    """All of them right: as often as that happens at a rate of 95 %, which is the promised error at most."""
    fresh, together = needed("gradients")
    assert REACH**fresh <= ERROR and together > fresh
    for count, sure in ((fresh, True), (fresh - 1, False)):
        sweep = Rate(4, [[0]], pairs=10 + count)
        assert confirm(sweep, (0,), 10).sure == sure


def test_only_pairs_that_no_choice_has_seen_are_read_and_finished_pictures():
    sweep = Rate(4, [[0]], pairs=100)
    assert confirm(sweep, (0,), 24).sure
    assert min(sweep.asked) == 24 and sweep.steps is None


def test_it_stops_where_nothing_can_be_proven_any_more():
    sweep = Rate(4, [[0]], pairs=60)
    found = confirm(sweep, (0,), 24)
    assert not found.sure and found.counted == 0 and "too few pairs are left" in found.says()


@pytest.mark.parametrize("rate", [0.95, 0.94, 0.9])
def test_a_set_at_the_line_is_called_sure_in_five_of_a_hundred_searches_at_most(rate):
    """However many pairs there are to look at: 3 standard deviations of 1,500 trials more are exceeded in 0.1 % of runs."""
    wrong = 0
    for seed in range(1500):
        sweep = Rate(2, [[0]], pairs=(100, 200, 400)[seed % 3], seed=seed)
        sweep.rate = rate
        wrong += confirm(sweep, (0,), 0).sure
    assert wrong <= 1500 * ERROR + 3 * (1500 * ERROR * (1 - ERROR)) ** 0.5


def test_a_good_set_is_called_sure():
    sure = 0
    for seed in range(100):
        sweep = Rate(2, [[0]], pairs=200, seed=seed)
        sweep.rate = 0.995
        sure += confirm(sweep, (0,), 0).sure
    assert sure >= 80


@pytest.mark.parametrize(("deciding", "rate"), [(3, 0.949), (10, 0.98)])
def test_a_whole_search_is_wrong_and_sure_in_five_of_a_hundred_at_most(deciding, rate):
    found = searched(deciding, rate, 240, "gradients", seed=7)
    assert found["sure_and_wrong"] <= 240 * ERROR + 3 * (240 * ERROR * (1 - ERROR)) ** 0.5


def test_what_the_simulated_model_draws_is_what_it_says():
    rng = np.random.default_rng(0)
    good = 0
    for _ in range(300):
        sweep = Simulated(3, 0.9, 60, False, rng)
        legible = [r.exact for r in sweep.readings([sweep.layers], range(60))[sweep.layers]]
        exact = [r.exact for r in sweep.readings([tuple(sweep.parts)], range(60))[tuple(sweep.parts)]]
        good += sum(exact) / sum(legible)
    assert good / 300 == pytest.approx(0.9, abs=0.01)


def test_what_is_weighed():
    """Layers 2 and 5 draw the word together: without either nothing is left, and no other set has both."""
    sweep = KnownAnswer(12, [[2, 5]], pairs=60)
    found = weigh(sweep, (2, 5), 30)
    wanted = binomtest(24, 24).proportion_ci(0.975, method="exact")
    for layer in (2, 5):
        assert found.necessity[layer] == pytest.approx((24, 24, 1.0, wanted.low, 1.0))
    assert found.complement[:3] == (0, 24, 0.0) and found.complement_p == pytest.approx(0.5**24)
    assert len(found.random) == SETS and max(found.random) < found.chosen == 1 and found.p == pytest.approx(1 / (SETS + 1))
    assert "2: 24 of 24 (100 %" in "\n".join(found.says())


def test_a_layer_that_is_not_needed_is_seen():
    found = weigh(KnownAnswer(12, [[2]], pairs=60), (2, 5), 30)
    assert found.necessity[2][0] == 24 and found.necessity[5][:3] == (0, 24, 0.0)


def test_few_layers_have_few_other_sets():
    found = weigh(KnownAnswer(4, [[1]], pairs=40), (1,), 20)
    assert len(found.random) == 3 and found.p == 0.25


def test_nothing_left_to_weigh():
    with pytest.raises(ValueError, match="no word pairs left"):
        weigh(KnownAnswer(4, [[1]], pairs=40), (1,), 40)


def test_a_failure_costs_pairs_and_not_the_proof():
    """Of the likelihood ratio of 99.5 % against 95 %: one failure in 114 pairs is less than 20 to 1, in 118 it is more."""

    class OneFailure(KnownAnswer):
        def readings(self, candidates, pairs, steps=None):
            return {c: [Reading(c == self.layers or pair != 10, 1.0, "") for pair in pairs] for c in candidates}

    for count, sure in ((112, False), (120, True)):
        ratio = (0.995 / 0.95) ** (count - 1) * (0.005 / 0.05)
        assert (ratio >= 20) == sure
        told = []
        found = confirm(OneFailure(4, [[0]], pairs=count), (0,), 0, tell=told.append)
        assert found.sure == sure and (not sure or found.good == found.counted - 1)
        if sure:
            assert [test.counted for test in told] == list(range(4, found.counted + 1, 4)), "a search for hours tells how far it is"


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_how_many_more_words_make_it_sure(failures):
    """All of them read: as many as the test then needs, and not one fewer."""
    few = proof.Test(False, 20, 20 + failures)
    for more, sure in ((few.more(), True), (few.more() - 1, False)):
        after = proof.Test(False, few.good + more, few.counted + more)
        assert (after.more() <= 0) == sure
    assert few.more() + 20 == needed("gradients")[0] if not failures else few.more() + 20 > needed("gradients")[0]
    assert proof.Test(True, 65, 65).more() == 0
