"""The smallest set, the test that decides about it, and what is said when the evidence is thin."""

import numpy as np
import pytest
from text_layers.localization.choice import choose, curve
from text_layers.localization.selection import ACCEPT, BAD, GOOD, REJECT, select
from text_layers.localization.strategies import Ranking
from text_layers.localization.sweep import Reading
from text_layers.patching.messages import NoGradient
from text_layers.testing.known_answer import KnownAnswer

pytestmark = pytest.mark.any_comfyui


def ranked(layers, *first):
    order = (*first, *(layer for layer in range(layers) if layer not in first))
    return Ranking(order, {layer: np.zeros(1) for layer in order})


def test_what_the_ranking_puts_first_is_left_out_again_when_nobody_misses_it():
    selection = select(KnownAnswer(8, [[2, 5]]), ranked(8, 3, 5, 1, 2))
    assert selection.layers == (2, 5)


def test_a_ranking_that_is_all_wrong_costs_pictures_but_not_the_answer():
    assert select(KnownAnswer(24, [[22, 23]]), ranked(24)).layers == (22, 23)


def test_few_pairs_are_said_to_be_few():
    selection = select(KnownAnswer(8, [[2]], pairs=4), ranked(8, 2))
    assert selection.layers == (2,)
    assert any("4 pairs are too few" in doubt for doubt in selection.doubts)


def test_a_word_that_needs_every_layer():
    selection = select(KnownAnswer(6, [range(6)]), ranked(6))
    assert selection.layers == tuple(range(6))
    assert any("no smaller set" in doubt for doubt in selection.doubts)


def test_a_model_that_does_not_draw_the_word():
    class Illegible(KnownAnswer):
        def readings(self, candidates, pairs, steps=None):
            return {candidate: [Reading(False, 0.0, "") for _ in pairs] for candidate in candidates}

    with pytest.raises(ValueError, match="even with all layers patched"):
        select(Illegible(8, [[2]]), ranked(8, 2))


@pytest.mark.parametrize("how", [select, choose])
def test_a_model_without_text_layers_says_how_many_it_needs(how):
    class Spread(KnownAnswer):
        """Every layer has the same part."""

        def closeness(self, candidates, pairs, steps=1):
            return {c: [1 - (1 - len(c) / len(self.layers)) ** 2 for _ in pairs] for c in candidates}

    ranking = ranked(16)
    sweep = Spread(16, [range(14)])
    selection = how(sweep, ranking)
    assert len(selection.layers) >= 14
    shares = dict(curve(sweep, ranking))
    assert shares[16] == 1 and shares[8] == pytest.approx(0.75) and list(shares) == [1, 2, 4, 8, 16]


class Lenient(KnownAnswer):
    """Two layers are read as well as all, a third one makes the word surer."""

    closes = 0.008

    def closeness(self, candidates, pairs, steps=1):
        return {c: [0.987 + self.closes * (5 in c) - 0.9 * (not {1, 3} <= set(c)) for _ in pairs] for c in candidates}


@pytest.mark.parametrize("closes, layers", [(0.008, (1, 3, 5)), (0.003, (1, 3))])
def test_a_layer_that_closes_a_good_part_of_the_gap_is_taken_as_well(closes, layers):
    sweep = Lenient(8, [[1, 3]])
    sweep.closes = closes
    assert select(sweep, ranked(8, 1, 3)).layers == layers


class Unreliable(KnownAnswer):
    """The layers read right with a given rate."""

    rate = 1.0

    def readings(self, candidates, pairs, steps=None):
        pairs = list(pairs)
        found = {}
        for candidate in candidates:
            exact = self._rng.random(len(pairs)) < (1 if candidate == self.layers else self.rate)
            found[candidate] = [Reading(bool(e), float(e), "") for e in exact]
        return found


@pytest.mark.parametrize("rate, reaches, error", [(GOOD, True, REJECT), (BAD, False, ACCEPT)])
def test_the_two_kinds_of_error_are_as_rare_as_promised(rate, reaches, error):
    """300 trials stay below the promised number of errors and three standard deviations with probability 0.997."""
    wrong = 0
    for seed in range(300):
        sweep = Unreliable(2, [[0]], pairs=400, seed=seed)
        sweep.rate = rate
        wrong += (select(sweep, ranked(2, 0)).verdicts[(0,)].reaches) != reaches
    assert wrong <= 300 * error + 3 * (300 * error * (1 - error)) ** 0.5


@pytest.mark.parametrize("how", [select, choose])
def test_one_pair_without_a_gap_does_not_hide_that_of_the_others(how):
    """Nor does it choose what is taken in: on the first pair every layer closes all of it."""

    class FirstIsEasy(Lenient):
        def closeness(self, candidates, pairs, steps=1):
            pairs, found = list(pairs), super().closeness(candidates, pairs, steps)
            return {c: [1.0 if pair == 0 else v for pair, v in zip(pairs, values, strict=True)] for c, values in found.items()}

        def slopes(self, base, weights, pairs):
            raise NoGradient("not asked here")

    sweep = FirstIsEasy(8, [[1, 3]])
    sweep.closes = 0.013
    assert how(sweep, ranked(8, 1, 3)).layers == (1, 3, 5)


@pytest.mark.parametrize(("right", "reaches"), [(10, True), (9, False)])
def test_pairs_that_run_out_decide_by_the_rate_that_is_wanted(right, reaches):
    """10 of 10 are not enough for the test to end, 9 of 10 are fewer than are wanted."""

    class Counted(KnownAnswer):
        def readings(self, candidates, pairs, steps=None):
            return {c: [Reading(c == self.layers or pair < right, 1.0, "") for pair in pairs] for c in candidates}

    verdict = select(Counted(2, [[0]], pairs=10), ranked(2, 0)).verdicts[(0,)]
    assert (verdict.reaches, verdict.decided, verdict.good, verdict.counted) == (reaches, False, right, 10)


def test_of_layers_that_only_readings_ask_for_as_few_as_are_needed_are_taken():
    """The first prediction is all there with one layer; read it is with six, which are taken in two, four and eight at once."""

    class OnlyRead(KnownAnswer):
        def closeness(self, candidates, pairs, steps=1):
            return {c: [1.0 for _ in pairs] for c in candidates}

    sweep = OnlyRead(24, [[3, 5, 8, 13, 20, 21]])
    assert choose(sweep, ranked(24, 3, 5, 8, 13, 20, 21)).layers == (3, 5, 8, 13, 20, 21)


def test_a_gap_near_the_line_is_measured_on_more_pairs():
    """0.6 % on the first pairs is little enough, and with the next ones it is 1.8 %."""

    class LaterPairs(Lenient):
        def closeness(self, candidates, pairs, steps=1):
            lost = {c: 1 - v[0] for c, v in super().closeness(candidates, [0]).items()}
            return {c: [1 - (lost[c] if lost[c] > 0.5 else (5 not in c) * (0.006 if p < 8 else 0.03)) for p in pairs] for c in lost}

        def slopes(self, base, weights, pairs):
            raise NoGradient("not asked here")

    assert choose(LaterPairs(8, [[1, 3]]), ranked(8, 1, 3)).layers == (1, 3, 5)
