"""Every strategy finds the layers that carry the word, wherever they are and however they work together."""

import random

import numpy as np
import pytest
from text_layers.benchmarks.known_answer import FINISHED, KnownAnswer
from text_layers.localization.choice import choose, chooser
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Reading
from text_layers.patching.messages import NoGradient

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
