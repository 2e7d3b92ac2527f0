"""Every strategy finds the layers that carry the word, wherever they are and however they work together."""

import random

import numpy as np
import pytest
from text_layers.localization.choice import choose, chooser
from text_layers.localization.pairs import WordPair
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Reading
from text_layers.patching.messages import NoGradient
from text_layers.testing.known_answer import FINISHED, KnownAnswer

pytestmark = pytest.mark.any_comfyui


def random_layers(layers, count, seed):
    return sorted(random.Random(f"{layers} {count} {seed}").sample(range(layers), count))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("layers", [8, 24, 70])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_layers_that_only_work_together(strategy, layers, count, seed):
    wanted = random_layers(layers, count, seed)
    sweep = KnownAnswer(layers, [wanted], seed=seed)
    selection = chooser(strategy)(sweep, STRATEGIES[strategy](sweep))
    assert list(selection.layers) == wanted and not selection.doubts


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("layers", [8, 24, 70])
@pytest.mark.parametrize("seed", range(5))
def test_either_of_two_layers_is_enough(strategy, layers, seed):
    """Nothing is lost when one layer is left out; one of the two is the smallest set."""
    first, second = random_layers(layers, 2, seed)
    sweep = KnownAnswer(layers, [[first], [second]], seed=seed)
    selection = chooser(strategy)(sweep, STRATEGIES[strategy](sweep))
    assert selection.layers in ((first,), (second,))


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"exhaustive"}))
@pytest.mark.parametrize("layers", [8, 24, 70])
def test_the_fast_strategies_draw_a_fraction(strategy, layers):
    """At most a tenth of the paper's procedure: every layer on every pair, and source and target."""
    sweep = KnownAnswer(layers, [random_layers(layers, 2, 0)])
    chooser(strategy)(sweep, STRATEGIES[strategy](sweep), sweep.half)
    assert sweep.calls <= 0.1 * 100 * (layers + 2) * FINISHED


@pytest.mark.parametrize(("deciding", "most"), [(2, 528), (8, 1500), (12, 2500), (24, 4000)])
@pytest.mark.parametrize("seed", range(3))
def test_many_deciding_layers_stay_affordable(deciding, most, seed):
    wanted = random_layers(57, deciding, seed)
    sweep = KnownAnswer(57, [wanted], seed=seed)
    assert list(choose(sweep, STRATEGIES["gradients"](sweep), sweep.half).layers) == wanted
    assert sweep.calls <= most


def test_seventy_layers_cost_what_eight_do():
    costs = []
    for layers in (8, 70):
        sweep = KnownAnswer(layers, [random_layers(layers, 3, 1)])
        choose(sweep, STRATEGIES["gradients"](sweep), sweep.half)
        costs.append(sweep.calls)
    assert costs[1] <= 1.1 * costs[0]


class Additive(KnownAnswer):
    """Each of the deciding layers has a part of the effect of its own, some of them small, and the word is there with nine tenths of it."""

    parts = {3: 0.3, 11: 0.25, 17: 0.2, 20: 0.15, 5: 0.1}

    def _drawn(self, candidate):
        return sum(part for layer, part in self.parts.items() if layer in candidate)

    def closeness(self, candidates, pairs, steps=1):
        found = super().closeness(candidates, pairs, steps)
        return {c: [1 - (1 - value) ** 2 for value in values] for c, values in found.items()}

    def slopes(self, base, weights, pairs):
        found = np.zeros((len(pairs), len(weights), len(self.layers)))
        found[..., list(self.parts)] = [part / (1 - self._drawn(base)) for part in self.parts.values()]
        return found


def test_layers_that_add_up():
    """The last one fills a hundredth of the way by squared distance, which is the line, and is asked for by no more than a third of it."""
    found = choose(Additive(24, [[3, 11, 17, 20, 5]]), STRATEGIES["gradients"](Additive(24, [[3, 11, 17, 20, 5]])))
    assert set(found.layers) == {3, 11, 17, 20, 5}


class Without(KnownAnswer):
    """A model that autograd cannot go through."""

    def slopes(self, base, weights, pairs):
        raise NoGradient("no kernel has one")


def test_without_a_gradient_it_is_bisection_and_says_so():
    sweep = Without(24, [[3, 17]])
    ranking = STRATEGIES["gradients"](sweep)
    assert choose(sweep, ranking).layers == (3, 17) and "bisection" in ranking.note and "no kernel has one" in ranking.note


def test_the_papers_choice_is_the_layer_with_the_highest_f1():
    """By itself and in finished pictures. Two layers that only work together draw nothing alone: the ranking's first is not the paper's."""

    class Partly(KnownAnswer):
        """A third layer draws some of the target's letters by itself."""

        def readings(self, candidates, pairs, steps=None):
            found = super().readings(candidates, pairs, steps)
            return {c: [Reading(False, 0.4, "HOT")] * len(r) if c == (6,) else r for c, r in found.items()}

    ranking = STRATEGIES["exhaustive"](Partly(8, [[2, 5]], pairs=40))
    assert ranking.papers_choice() == 6 and set(ranking.order[:2]) == {2, 5}
    assert ranking.papers[6] == pytest.approx(2 * 1 * (3 / 5) / (1 + 3 / 5)) and ranking.papers[2] == pytest.approx(2 / 9)
    assert STRATEGIES["first_step"](KnownAnswer(8, [[2]])).papers_choice() is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_either_of_two_layers_comes_first(strategy):
    """Though nothing is lost without one of them: a ranking by what is lost alone would be that of the noise."""
    found = STRATEGIES[strategy](KnownAnswer(24, [[7], [16]], pairs=8))
    assert found.order[0] in (7, 16) and (strategy == "gradients" or set(found.order[:2]) == {7, 16})


@pytest.mark.parametrize("pairs", [8, 40])
def test_layers_that_draw_nothing_alone_come_before_one_that_draws_a_little(pairs):
    """Few pairs are asked both questions, of many each answers one of them."""

    class Partly(KnownAnswer):
        def readings(self, candidates, pairs, steps=None):
            found = super().readings(candidates, pairs, steps)
            return {c: [Reading(False, 0.4, "HOT")] * len(r) if c == (6,) else r for c, r in found.items()}

    found = STRATEGIES["exhaustive"](Partly(8, [[2, 5]], pairs=pairs))
    assert set(found.order[:2]) == {2, 5} and found.order[2] == 6


class Misleading(KnownAnswer):
    """On the first pair another layer seems to decide most of the word."""

    def closeness(self, candidates, pairs, steps=1):
        pairs, found = list(pairs), super().closeness(candidates, pairs, steps)
        first = {c: 0.6 * (7 in c) + 0.4 * (18 in c) for c in found}
        return {c: [first[c] if pair == 0 else value for pair, value in zip(pairs, v, strict=True)] for c, v in found.items()}

    def slopes(self, base, weights, pairs):
        pairs, found = list(pairs), super().slopes(base, weights, pairs)
        if 0 in pairs:
            found[pairs.index(0)] = 0.6 * np.eye(len(self.layers))[7] + 0.4 * np.eye(len(self.layers))[18]
        return found


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"exhaustive"}))
def test_one_pair_that_misleads_does_not_decide(strategy):
    assert STRATEGIES[strategy](Misleading(24, [[18]])).order[0] == 18


def test_bisection_looks_into_a_group_that_loses_little():
    """A layer with a twentieth of the effect is told from its neighbours."""

    class Little(KnownAnswer):
        def closeness(self, candidates, pairs, steps=1):
            return {c: [0.02 + 0.93 * (3 in c) + 0.05 * (17 in c) for _ in pairs] for c in candidates}

    assert STRATEGIES["bisection"](Little(24, [[3]])).order[:2] == (3, 17)


def test_both_questions_are_asked_of_as_many_pairs_of_equal_length():
    """Words of another length are other pictures: a question that only one kind answers would be another question."""

    class Asked(KnownAnswer):
        def readings(self, candidates, pairs, steps=None):
            candidates, pairs = list(candidates), list(pairs)
            self.asked = {**getattr(self, "asked", {}), len(candidates[0]): [self.pairs[pair].equal_length for pair in pairs]}
            return super().readings(candidates, pairs, steps)

    sweep = Asked(8, [[2]])
    sweep.pairs = [WordPair("CAFE", "HOTEL" if number % 2 else "SHOP") for number in range(40)]
    STRATEGIES["exhaustive"](sweep)
    assert sorted(sweep.asked) == [1, 7] and all(len(kinds) == 20 and sum(kinds) == 10 for kinds in sweep.asked.values())


def test_slopes_that_do_not_add_up_half_way_are_asked_at_more_points():
    """Layer 9 has seven tenths of the effect, by the eighth power of its weight, layer 2 the rest, evenly: half-way the slopes are 0.04
    and 0.3. Four points of Gauss are exact for powers of eight."""

    class Late(KnownAnswer):
        def slopes(self, base, weights, pairs):
            found = np.zeros((len(pairs), len(weights), len(self.layers)))
            found[..., 2] = 0.3
            found[..., 9] = 0.7 * 8 * np.array(weights) ** 7
            return found

        def closeness(self, candidates, pairs, steps=1):
            return {c: [0.3 * (2 in c) + 0.7 * (9 in c) for _ in pairs] for c in candidates}

    class Even(Late):
        def slopes(self, base, weights, pairs):
            self.asked = [*getattr(self, "asked", []), weights]
            return np.full((len(pairs), len(weights), len(self.layers)), 1 / len(self.layers))

    even = Even(24, [[2, 9]])
    STRATEGIES["gradients"](even)
    assert even.asked == [(0.5,)], "those that add up are asked once"
    found = STRATEGIES["gradients"](Late(24, [[2, 9]]))
    assert found.mean(9) == pytest.approx(0.7, abs=1e-5) and found.mean(2) == pytest.approx(0.3, abs=1e-5)
