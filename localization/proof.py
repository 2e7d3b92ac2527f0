"""What may be said of a set of layers once it has been chosen, on pairs that no choice has looked at and on finished pictures.

confirm     whether the set reads as all layers do, as a test whose error holds whenever it is looked at
needed      how many pairs a search needs so that its answer can be called sure
weigh       each layer's necessity, and the set against its complement and against random sets of its size
Test, Evidence

"Sure" is one claim: of the words that are read with all layers patched, the set draws at least REACH. The claim is tested once, after the
search, on fresh pairs, so that nothing of what was chosen, pruned or added before can make it come out; within the test the pairs are
looked at as they come. The likelihood ratio of EXPECTED against REACH, a martingale where REACH is true, exceeds 1 / ERROR in at most ERROR
of all searches (Ville's inequality), however often it is looked at and whenever it is stopped.
"""

import math
import random
from dataclasses import dataclass

import numpy as np

from ..scoring.intervals import LEVEL, lost, p_value, rate
from .choice import looks_at
from .selection import BLOCK, REACH, illegible
from .strategies import without

ERROR = 0.05  # of all searches: as many at most state a set as sure that draws fewer than REACH of the words
EXPECTED = 0.995  # the rate that is to be told from REACH in as few pairs as can be
WEIGHED = 24  # fresh pairs on which layers are left out
SETS, SET_PAIRS = 60, 2  # random sets of layers, and the pairs that each is read on
_GOOD, _BAD = math.log(EXPECTED / REACH), math.log((1 - EXPECTED) / (1 - REACH))


@dataclass(frozen=True)
class Test:
    """sure: whether the claim is proven; good of counted: fresh pairs read exactly, of those that the set or all layers read exactly."""

    sure: bool
    good: int
    counted: int

    def says(self):
        share, lower, upper = rate(self.good, self.counted)
        found = f"{self.good} of {self.counted} words that the search had not seen are read ({_percent(share, lower, upper)})"
        if not self.counted:
            return "Not tested: too few pairs are left that the search has not seen."
        if self.sure:
            claim = f"the layers draw at least {100 * REACH:.0f} % of the words that all layers draw"
            return f"Sure: {claim}, which is wrong in {100 * ERROR:.0f} % of searches at most. {found[0].upper()}{found[1:]}."
        return f"Not sure: {found}."

    def more(self):
        """Further fresh pairs that would make it sure, if all of them are read; 0 where it is."""
        if self.sure:
            return 0
        return math.ceil((math.log(1 / ERROR) - self.good * _GOOD - (self.counted - self.good) * _BAD) / _GOOD)


@dataclass(frozen=True)
class Evidence:
    """On finished pictures of `pairs` fresh pairs.

    necessity: {layer: (lost, of, share, lower, upper)}: words that the set draws and the set without this layer does not, exact intervals
    that hold for all layers at once; complement: (read, of, share, lower, upper) of the words that all other layers draw instead of the
    set; complement_p: how likely such a difference is where both are as good. random: the mean similarity to the target's word of each
    random set, chosen: of this one, on `set_pairs` pairs; p: how likely a set of this size that was drawn at random is as good."""

    pairs: int
    necessity: dict[int, tuple]
    complement: tuple
    complement_p: float
    chosen: float
    random: tuple[float, ...]
    set_pairs: int
    p: float

    def says(self):
        yield f"What is lost without a layer, of the words that the set draws ({self.pairs} pairs that the search had not seen):"
        for layer, (gone, of, *shares) in self.necessity.items():
            yield f"  {layer}: {gone} of {of} ({_percent(*shares)})"
        read, of, *shares = self.complement
        yield f"All other layers instead of the set: {read} of {of} words are read ({_percent(*shares)}), p = {self.complement_p:.2g}."
        better = sum(value >= self.chosen for value in self.random)
        yield (
            f"{len(self.random)} other sets of as many layers on {self.set_pairs} pairs: {better} are read as well, p = {self.p:.2g}."
            if self.random
            else "There is no other set of as many layers."
        )


def needed(strategy):
    """Fresh pairs without a single failure that make a set sure, and pairs in all with those that a search by a strategy reads; None where
    it reads all of them, so that none is ever fresh."""
    fresh, read = math.ceil(math.log(1 / ERROR) / _GOOD), looks_at(strategy)
    return fresh, None if read is None else fresh + read


def confirm(sweep, layers, first, steps=None, tell=lambda test: None):
    """Test of a set on the sweep's pairs from number `first` on, a few at a time until it decides, they run out, or too few are left to
    prove anything. Of pairs that the set does not read, all layers tell whether the model draws the word at all."""
    good = counted = 0
    for start in range(first, len(sweep.pairs), BLOCK):
        ratio = good * _GOOD + (counted - good) * _BAD
        if ratio + (len(sweep.pairs) - start) * _GOOD < math.log(1 / ERROR):
            break
        pairs = list(range(start, min(start + BLOCK, len(sweep.pairs))))
        right, failed = _read(sweep, layers, pairs, steps)
        good, counted = good + right, counted + right + failed
        tell(Test(False, good, counted))
        if good * _GOOD + (counted - good) * _BAD >= math.log(1 / ERROR):
            return Test(True, good, counted)
    return Test(False, good, counted)


def _read(sweep, layers, pairs, steps):
    """(read, failed): a pair that neither the set nor all layers read tells nothing."""
    exact = [reading.exact for reading in sweep.readings([layers], pairs, steps)[layers]]
    missed = [pair for pair, right in zip(pairs, exact, strict=True) if not right]
    legible = [reading.exact for reading in sweep.readings([sweep.layers], missed, steps)[sweep.layers]] if missed else []
    return sum(exact), sum(legible) if layers != sweep.layers else 0


def weigh(sweep, layers, first, seed=0):
    """Evidence on the sweep's pairs from number `first` on. Raises ValueError where there are none, and where none of them is read."""
    pairs = list(range(first, min(first + WEIGHED, len(sweep.pairs))))
    if not pairs:
        raise ValueError("There are no word pairs left that the search has not read, so that nothing can be weighed: give more pairs.")
    others = tuple(layer for layer in sweep.layers if layer not in layers)
    fewer = {layer: without(layers, (layer,)) for layer in layers}
    read = sweep.readings([layers, others, *fewer.values()], pairs)
    exact = {candidate: [reading.exact for reading in readings] for candidate, readings in read.items()}
    if not any(exact[layers]):
        raise illegible()
    level = 1 - (1 - LEVEL) / len(layers)
    necessity = {layer: lost(exact[layers], exact[candidate], level) for layer, candidate in fewer.items()}
    gone, of, *_ = lost(exact[layers], exact[others])
    complement = (of - gone, of, *rate(of - gone, of))
    sets = random_sets(sweep.layers, layers, random.Random(seed), SETS)
    some = pairs[:SET_PAIRS]
    scores = {s: float(np.mean([r.similarity for r in readings])) for s, readings in sweep.readings([layers, *sets], some).items()}
    as_good = sum(scores[s] >= scores[layers] for s in sets)
    p = (1 + as_good) / (1 + len(sets))
    return Evidence(
        len(pairs),
        necessity,
        complement,
        p_value(exact[layers], exact[others]),
        scores[layers],
        tuple(scores[s] for s in sets),
        len(some),
        p,
    )


def random_sets(everything, layers, rng, most):
    """So many others of the same size, or all that there are."""
    count = math.comb(len(everything), len(layers)) - 1
    found = set()
    while len(found) < min(most, count):
        drawn = tuple(sorted(rng.sample(everything, len(layers))))
        if drawn != tuple(layers):
            found.add(drawn)
    return sorted(found)


def _percent(share, lower, upper):
    return f"{100 * share:.0f} %, {100 * lower:.0f} to {100 * upper:.0f}"
