"""Every strategy finds the layers that carry the word, wherever they are and however they work together."""

import random

import pytest
from text_layers.benchmarks.known_answer import FINISHED, KnownAnswer
from text_layers.localization.selection import select
from text_layers.localization.strategies import STRATEGIES

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
    selection = select(sweep, STRATEGIES[strategy](sweep))
    assert list(selection.layers) == wanted and not selection.doubts


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("layers", [8, 24, 70])
@pytest.mark.parametrize("seed", range(5))
def test_either_of_two_layers_is_enough(strategy, layers, seed):
    """Nothing is lost when one layer is left out; one of the two is the smallest set."""
    first, second = random_layers(layers, 2, seed)
    sweep = KnownAnswer(layers, [[first], [second]], seed=seed)
    selection = select(sweep, STRATEGIES[strategy](sweep))
    assert selection.layers in ((first,), (second,))


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"exhaustive"}))
@pytest.mark.parametrize("layers", [8, 24, 70])
def test_the_fast_strategies_draw_a_fraction(strategy, layers):
    """At most a tenth of the paper's procedure: every layer on every pair, and source and target."""
    sweep = KnownAnswer(layers, [random_layers(layers, 2, 0)])
    select(sweep, STRATEGIES[strategy](sweep), sweep.half)
    assert sweep.calls <= 0.1 * 100 * (layers + 2) * FINISHED
