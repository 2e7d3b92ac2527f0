"""How often a search states a wrong set of layers as sure: `python dev.py run benchmarks.localization.search_errors --out FILE.json`

Simulated models, searched through the code that decides in the node: the ranking by slopes, the choice by first predictions and half-way
readings, and the test of what is stated, with its stopping. Every deciding layer has a part of the effect, drawn at random. A set draws a
word with a probability: `rate` with all deciding layers patched, and less for each that it lacks, by LOSS times its part, so that a layer
that hardly moves the first prediction still costs words. Half-way, where a search reads, half of the failures are not seen yet. A set is
wrong when it draws fewer than 95 % of the words that all layers draw. Of each cell of the table, a third of the searches has 60 pairs, a
third 100 and a third 200; in half of them the pairs that one set fails on are those that others fail on.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from ...localization.choice import chooser
from ...localization.drawing import TARGET
from ...localization.pairs import WordPair
from ...localization.proof import confirm
from ...localization.selection import REACH
from ...localization.strategies import STRATEGIES
from ...localization.sweep import Reading

LAYERS, LEGIBLE, NOISE, LOSS = 24, 0.97, 0.002, 3.0
DECIDING, RATES, PAIRS = (1, 2, 3, 6, 10), (0.9, 0.92, 0.94, 0.949, 0.96, 0.98, 1.0), (60, 100, 200)
_READ, _OTHER = Reading(True, 1.0, "HOTEL"), Reading(False, 0.2, "CAFE")


class Simulated:
    """A sweep without a model. rate: of the words that all layers draw, how many the deciding layers draw."""

    def __init__(self, deciding, rate, pairs, together, rng):
        self.layers, self.pairs, self.half, self.seen = tuple(range(LAYERS)), [WordPair("CAFE", "HOTEL")] * pairs, 10, 0
        self.parts = dict(zip(rng.choice(LAYERS, deciding, False).tolist(), rng.dirichlet(np.full(deciding, 1.5)).tolist(), strict=True))
        self._rate, self._rng, self._cells = rate, rng, {}
        self._legible = rng.random(pairs) < LEGIBLE
        self._hard = rng.random(pairs) if together else None  # how hard each pair is, for every set

    def rate(self, candidate):
        """Share of the words that all layers draw which these draw."""
        if len(candidate) == LAYERS:
            return 1.0
        kept = [1 - min(1, LOSS * part) for layer, part in self.parts.items() if layer not in candidate]
        return float(self._rate * np.prod(kept))

    def _note(self, pairs):
        self.seen = max([self.seen, *(pair + 1 for pair in pairs)])

    def _drawn(self, candidate):
        return sum(part for layer, part in self.parts.items() if layer in candidate)

    def closeness(self, candidates, pairs, steps=1):
        self._note(pairs)
        return {c: 1 - (1 - self._drawn(c)) ** 2 + self._rng.normal(0, NOISE, len(pairs)) for c in candidates}

    def slopes(self, base, weights, pairs):
        self._note(pairs)
        found = np.zeros((len(pairs), len(weights), LAYERS))
        found[..., list(self.parts)] = np.array(list(self.parts.values())) / max(1 - self._drawn(base), 1e-6)
        return found + self._rng.normal(0, NOISE, found.shape)

    def readings(self, candidates, pairs, steps=None):
        pairs = list(pairs)
        self._note(pairs)
        return {c: [_READ if self._reads(c, pair, steps is not None) else _OTHER for pair in pairs] for c in candidates}

    def _reads(self, candidate, pair, half_way):
        if candidate == TARGET or not self._legible[pair]:
            return bool(self._legible[pair])
        if (candidate, pair) not in self._cells:
            self._cells[candidate, pair] = self._rng.random() if self._hard is None else self._hard[pair]
        failing = 1 - self.rate(candidate)
        return self._cells[candidate, pair] >= failing / (2 if half_way else 1)


def searched(deciding, rate, searches, strategy, seed):
    """A row of the table."""
    rng = np.random.default_rng([seed, deciding, round(1000 * rate)])
    sure = wrong = wrong_and_sure = 0
    for number in range(searches):
        sweep = Simulated(deciding, rate, PAIRS[number % len(PAIRS)], number % 2 == 0, rng)
        ranking = STRATEGIES[strategy](sweep)
        chosen = chooser(strategy)(sweep, ranking, sweep.half).layers
        is_sure = confirm(sweep, chosen, sweep.seen).sure
        is_wrong = sweep.rate(chosen) < REACH
        sure, wrong, wrong_and_sure = sure + is_sure, wrong + is_wrong, wrong_and_sure + (is_sure and is_wrong)
    return {"deciding": deciding, "rate": rate, "searches": searches, "sure": sure, "sure_and_wrong": wrong_and_sure, "wrong": wrong,
            "strategy": strategy}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=360, help="of each cell of the table")
    parser.add_argument("--strategy", choices=[name for name in STRATEGIES if name != "exhaustive"], default="gradients")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    rows = []
    for deciding, rate in product(DECIDING, RATES):
        rows.append(searched(deciding, rate, a.searches, a.strategy, a.seed))
        print(rows[-1], flush=True)
        a.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
