"""Searches whose answer is known: a sweep without a model, in which given layers carry the word."""

import numpy as np

from ..localization.drawing import TARGET
from ..localization.pairs import WordPair
from ..localization.sweep import Reading

FINISHED = 20  # steps of a picture


class KnownAnswer:
    """ways: sets of layers; the word is drawn when all layers of one set are patched. Every other layer moves the prediction by
    noise. `calls` counts the steps of all pictures that a sweep would draw."""

    def __init__(self, layers, ways, pairs=100, seed=0):
        self.layers = tuple(range(layers))
        self.pairs = [WordPair("CAFE", "HOTEL")] * pairs
        self.ways = [frozenset(way) for way in ways]
        self.half = FINISHED // 2
        self.calls = self.seen = 0
        self._rng = np.random.default_rng(seed)

    def _drawn(self, candidate):
        """How much of the word is drawn, 0 to 1: a way that is there in part moves the prediction a little, as in real models."""
        shares = [len(way & set(candidate)) / len(way) for way in self.ways]
        return 1.0 if max(shares) == 1 else 0.2 * max(shares)

    def slopes(self, base, weights, pairs):
        """Of 0.2 times the mean weight in a way and 0.8 times the product of its weights, in the way that is drawn most: _drawn, where the
        weights are 0 and 1. A pair costs its two ends, and a weight a forward and a backward pass, which counts as two."""
        pairs = list(pairs)
        self.seen = max([self.seen, *(pair + 1 for pair in pairs)])
        self.calls += len(pairs) * (2 + 3 * len(weights))
        rest, found = 1 - self._drawn(base), np.zeros((len(pairs), len(weights), len(self.layers)))
        for number, w in enumerate(weights):
            by_layer = np.where(np.isin(self.layers, base), 1.0, w)
            ways = [sorted(way) for way in self.ways]
            way = max(ways, key=lambda way: 0.2 * by_layer[way].mean() + 0.8 * by_layer[way].prod())
            for layer in way:
                others = [other for other in way if other != layer]
                found[:, number, layer] = (0.2 / len(way) + 0.8 * by_layer[others].prod()) / max(rest, 1e-9)
        return found + self._rng.normal(0, 0.002, found.shape)

    def closeness(self, candidates, pairs, steps=1):
        candidates, pairs = list(candidates), list(pairs)
        self.seen = max([self.seen, *(pair + 1 for pair in pairs)])
        self.calls += len(candidates) * len(pairs) * steps
        return {c: [self._drawn(c) + self._rng.normal(0, 0.002) for _ in pairs] for c in candidates}

    def readings(self, candidates, pairs, steps=None):
        pairs = list(pairs)
        self.seen = max([self.seen, *(pair + 1 for pair in pairs)])
        found = {}
        for candidate in candidates:
            self.calls += len(pairs) * (steps or FINISHED)
            whole = candidate == TARGET or self._drawn(candidate) == 1
            found[candidate] = [Reading(True, 1.0, "HOTEL") if whole else Reading(False, 0.2, "CAFE") for _ in pairs]
        return found
