"""Ways to rank the layers of a model by how much of the drawn word they decide. Plain Python: a sweep answers their questions.

STRATEGIES    name -> function(sweep) -> Ranking
gradients     the slopes of the model's first prediction along the weights of all layers, and the first few layers left out
exhaustive    every layer alone and every layer left out, finished pictures read by OCR (the paper's, both ways)
first_step    every layer left out, judged by the model's first call alone
bisection     groups of neighbouring layers left out, halved as long as they matter, judged by the first call
halving       like first_step on few pairs, twice as many for the better half of the layers, and so on

A layer's *necessity* is what of the target is lost when it alone keeps the source's text, its *sufficiency* what of the target is
there when it alone has the target's. A word that needs two layers at once shows in the first, one that either of two layers can draw
shows only in the second.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..patching.messages import NoGradient
from ..scoring import text
from ..scoring.compare import USUAL

MANY = 32  # pairs, of which half are enough for a mean
PAIRS = 8  # that the fast strategies look at; the same three layers came first for 8 pairs of 16 to 24 in 97 of 100 draws
REDUNDANT = 0.5  # less necessity than this in all layers together: the word has several ways, and sufficiency must be asked
INTEGRATED = 4  # pairs, each of which costs as much there as three
SHORT = 5  # layers with the largest slopes that are left out, one after another
ADD_UP = 0.05  # how far the slopes' sum half-way may be off the whole effect
NEGLIGIBLE = 0.004  # of the way from source to target: a group of layers that loses no more is not looked into


@dataclass(frozen=True)
class Ranking:
    """order: all layers, the most decisive first. scores: a layer's number -> its score for each pair that was looked at; 0 is no
    effect, what else the figure means depends on the strategy. papers: F1 of the drawn characters against the target's word with each
    layer alone patched, in finished pictures, which is what the paper asks; only the exhaustive strategy does. note: what people should
    know."""

    order: tuple[int, ...]
    scores: dict[int, np.ndarray]
    papers: dict[int, float] | None = None
    note: str = ""

    def papers_choice(self):
        """The layer with the highest F1 by itself [Staniszewski et al., section 4]; None where nobody has asked."""
        return None if self.papers is None else max(self.papers.items(), key=lambda one: one[1])[0]

    def mean(self, layer):
        return float(self.scores[layer].mean())


def _order(scores):
    return tuple(sorted(scores, key=lambda layer: (-scores[layer].mean(), layer)))


def _ranking(scores):
    return Ranking(_order(scores), scores)


def without(layers, left_out):
    return tuple(layer for layer in layers if layer not in left_out)


def exhaustive(sweep):
    """Of MANY pairs each answers one of both questions: as many pictures as the paper's search draws, which asks only the first."""
    layers, pairs = sweep.layers, range(len(sweep.pairs))
    one, other = _halves(sweep.pairs) if len(pairs) >= MANY else (pairs, pairs)
    read = sweep.readings([(layer,) for layer in layers], one)
    alone = {candidate: _scores(readings) for candidate, readings in read.items()}
    left_out = _read(sweep, [*(without(layers, (layer,)) for layer in layers), layers], other)
    nothing = min(score.mean() for score in alone.values())  # letters that source and target share by chance
    sufficiency = {layer: alone[(layer,)] - nothing for layer in layers}
    necessity = {layer: left_out[layers] - left_out[without(layers, (layer,))] for layer in layers}
    if one is other:
        ranking = _ranking({layer: (sufficiency[layer] + necessity[layer]) / 2 for layer in layers})
    else:
        ranking = _ranking({layer: np.concatenate([sufficiency[layer], necessity[layer]]) for layer in layers})
    return replace(ranking, papers=_papers_scores(sweep, read, one))


def _papers_scores(sweep, read, pairs):
    """{layer: mean F1 of the characters}. read: {(layer,): readings of the pairs}"""
    wanted = [USUAL.folded(sweep.pairs[n].target) for n in pairs]

    def mean(readings):
        return float(np.mean([text.f1(USUAL.folded(r.read), target) for r, target in zip(readings, wanted, strict=True)]))

    return {layer: mean(readings) for (layer,), readings in read.items()}


def _halves(pairs):
    """Numbers of the pairs in two halves, with as many pairs of equal and of different length in each."""
    order = sorted(range(len(pairs)), key=lambda n: pairs[n].equal_length)
    return sorted(order[::2]), sorted(order[1::2])


def _read(sweep, candidates, pairs):
    """{candidate: score of each pair's reading}"""
    return {candidate: _scores(readings) for candidate, readings in sweep.readings(candidates, pairs).items()}


def _scores(readings):
    return np.array([(r.similarity + r.exact) / 2 for r in readings])


def first_step(sweep):
    return _ranking(_by_first_call(sweep, sweep.layers, range(min(PAIRS, len(sweep.pairs)))))


def _by_first_call(sweep, layers, pairs):
    """Necessity of some layers, and sufficiency as well where nothing seems necessary."""
    necessity = _necessity(sweep, [(layer,) for layer in layers], pairs)
    scores = {layer: necessity[(layer,)] for layer in layers}
    if sum(score.mean() for score in scores.values()) < REDUNDANT:
        alone = sweep.closeness([(layer,) for layer in layers], pairs)
        scores = {layer: scores[layer] + alone[(layer,)] for layer in layers}
    return scores


def _necessity(sweep, groups, pairs):
    """{group: what is lost of each pair's target when the group keeps the source's text}"""
    candidates = {group: without(sweep.layers, group) for group in groups}
    close = sweep.closeness(candidates.values(), pairs)
    return {group: 1 - np.array(close[candidate]) for group, candidate in candidates.items()}


def bisection(sweep):
    pairs = range(min(PAIRS, len(sweep.pairs)))
    scores, groups = {}, [sweep.layers]
    while groups:
        halves = [half for group in groups for half in (group[: len(group) // 2], group[len(group) // 2 :]) if half]
        necessity = _necessity(sweep, halves, pairs)
        for half in halves:
            scores |= dict.fromkeys(half, necessity[half] / len(half))
        groups = [half for half in halves if len(half) > 1 and necessity[half].mean() > NEGLIGIBLE]
    if sum(score.mean() for score in scores.values()) < REDUNDANT:
        return first_step(sweep)
    return _ranking(scores)


def halving(sweep):
    scores, behind, left, pairs = {}, (), sweep.layers, 1
    while True:
        found = _by_first_call(sweep, left, range(min(pairs, len(sweep.pairs))))
        scores |= found
        if pairs >= min(PAIRS, len(sweep.pairs)):
            return Ranking((*_order(found), *behind), scores)
        better = _order(found)[: max(4, len(left) // 2)]
        behind = (*(layer for layer in _order(found) if layer not in better), *behind)
        left, pairs = tuple(sorted(better)), 2 * pairs


def gradients(sweep):
    """Slopes half-way between source and target, which add up to the whole effect where it grows evenly; where they do not, at the four
    points of a Gauss quadrature (integrated gradients, Sundararajan et al., 2017), which come nearer to it."""
    pairs = range(min(PAIRS, len(sweep.pairs)))
    try:
        slopes = sweep.slopes((), (0.5,), pairs)[:, 0]
        if abs(slopes.sum(1).mean() - 1) > ADD_UP:
            points, parts = np.polynomial.legendre.leggauss(4)
            at = tuple(round(float(point), 6) for point in (points + 1) / 2)
            slopes = (sweep.slopes((), at, pairs[:INTEGRATED]) * (parts / 2)[:, None]).sum(1)
    except NoGradient as reason:
        return replace(bisection(sweep), note=f"The model gives no gradient: {reason}. Its layers were ranked by bisection.")
    scores = dict(enumerate(slopes.T))
    short, others = _order(scores)[:SHORT], _order(scores)[SHORT:]
    necessity = _necessity(sweep, [(layer,) for layer in short], pairs)
    if sum(score.mean() for score in necessity.values()) >= REDUNDANT:
        short = sorted(short, key=lambda layer: -necessity[(layer,)].mean())
    return Ranking((*short, *others), scores)


STRATEGIES: dict[str, Callable] = {
    "gradients": gradients,
    "first_step": first_step,
    "bisection": bisection,
    "halving": halving,
    "exhaustive": exhaustive,
}
