"""From a ranking of layers to the smallest set that does the work of all.

select        grows a set from the most decisive layer until it does what all layers do, and leaves out what is not missed
Selection     the set, the evidence for it, and what is doubtful

Two questions decide which set the search goes on with; what is stated as sure is tested afterwards, on other pairs (proof.py). Does the
set read as well as all layers? That is one about rare failures, so pairs are read a few at a time until Wald's sequential probability
ratio test decides (A. Wald, Sequential Tests of Statistical Hypotheses, 1945) or the pairs run out.

And does a layer alone close a good part of the gap between what the set and what all layers do to the model's first prediction? Readings
half-way are lenient: a layer without which the word is a little less sure is not missed there, but in one finished picture of twelve (the
demo MMDiT's block 2). This question costs one call a picture, so it is asked first, and what it settles is not read.
"""

import math
from dataclasses import dataclass

import numpy as np

from .strategies import without

REACH = 0.95  # of the pairs whose word is read with all layers patched
GOOD, BAD = 0.98, 0.92  # rates that must be told apart; between them either answer will do
ACCEPT, REJECT = 0.1, 0.2  # probability of taking a bad set, and of refusing a good one, which costs one layer more
GAP, CLOSES = 0.01, 0.33  # of the way to all layers' first prediction that may be missing; share of it that one layer must close
GAP_PAIRS, CLOSE_PAIRS = 24, 8  # that the gap is measured on, and what closes it: there are many layers
CLOSERS = 16  # layers, the most decisive first, that are asked whether they close it, where slopes do not tell
BLOCK = 4  # pairs that are read before the test is asked again
# Pairs that the test reads of a set that draws all words.
READ = BLOCK * math.ceil(math.log((1 - REJECT) / ACCEPT) / math.log(GOOD / BAD) / BLOCK)
_CLIMB = 6  # layers are added one at a time up to this size, then a quarter of the set at once


@dataclass(frozen=True)
class Verdict:
    """reaches: whether the search went on with the set; decided: whether its test came to an end; good of counted: pairs read exactly, of
    those that all layers read exactly."""

    reaches: bool
    decided: bool
    good: int
    counted: int


@dataclass(frozen=True)
class Selection:
    """layers: the chosen ones, in the model's order; verdicts: every set that was read; close: layers that were kept because they close a
    good part of the gap to all layers, without asking whether readings miss them."""

    layers: tuple[int, ...]
    verdicts: dict[tuple[int, ...], Verdict]
    doubts: tuple[str, ...]
    close: tuple[int, ...] = ()


def select(sweep, ranking, steps=None):
    """sweep: answers closeness() and readings(); ranking: strategies.Ranking; steps: after how many steps pictures are read, None:
    finished ones.

    Raises ValueError when the word cannot be read even with all layers patched.
    """
    verdicts = {}

    def reaches(*candidates):
        """Those that read as well as all layers. Candidates that are asked for together share the pictures of the target."""
        new = [c for c in candidates if c not in verdicts]
        verdicts.update(_test(sweep, new, steps) if new else {})
        return [c for c in candidates if verdicts[c].reaches]

    chosen = _completed(sweep, ranking, ranking.order[:1])
    while len(chosen) < len(sweep.layers) and not reaches(chosen):
        following = [layer for layer in ranking.order if layer not in chosen]
        more = 1 if len(chosen) < _CLIMB else math.ceil(len(chosen) / 4)
        chosen = _completed(sweep, ranking, (*chosen, *following[:more]))
    if len(chosen) == len(sweep.layers):
        reaches(chosen)  # whether the model draws the words at all
    close = ()
    while len(chosen) > 1:
        close = _close(sweep, chosen)
        spare = [layer for layer in reversed(ranking.order) if layer in chosen and layer not in close]
        enough = reaches(*(without(chosen, (layer,)) for layer in spare))
        if not enough:
            break
        chosen = enough[0]  # without the least decisive layer
    return Selection(chosen, verdicts, tuple(doubts(sweep, chosen, verdicts)), tuple(layer for layer in chosen if layer in close))


def gaps(sweep, candidates, pairs):
    """{candidate: how much is missing of the way to all layers' first prediction}"""
    close = sweep.closeness(candidates, range(min(pairs, len(sweep.pairs))))
    return {candidate: 1 - float(np.mean(values)) for candidate, values in close.items()}


def _completed(sweep, ranking, layers):
    """With the layers, one after another, of which each alone closes a good part of the gap. In the model's order."""
    chosen = tuple(sorted(layers))
    while len(chosen) < len(sweep.layers) and gaps(sweep, [chosen], GAP_PAIRS)[chosen] > GAP:
        following = [layer for layer in ranking.order if layer not in chosen][:CLOSERS]
        more = [tuple(sorted((*chosen, layer))) for layer in following]
        left = gaps(sweep, [chosen, *more], CLOSE_PAIRS)
        best = min(more, key=left.get)
        if left[best] > (1 - CLOSES) * left[chosen]:
            break
        chosen = best
    return chosen


def _close(sweep, chosen):
    """Layers of a set without which there is a gap of which they close a good part."""
    fewer = {layer: without(chosen, (layer,)) for layer in chosen}
    left = gaps(sweep, [chosen, *fewer.values()], GAP_PAIRS)
    return tuple(layer for layer in chosen if left[fewer[layer]] > GAP and left[chosen] <= (1 - CLOSES) * left[fewer[layer]])


def _test(sweep, candidates, steps):
    """{candidate: Verdict} of Wald's test of GOOD against BAD, over the sweep's pairs in their order."""
    accept, refuse = math.log((1 - REJECT) / ACCEPT), math.log(REJECT / (1 - ACCEPT))
    ratio, good, verdicts, counted = dict.fromkeys(candidates, 0.0), dict.fromkeys(candidates, 0), {}, 0
    for start in range(0, len(sweep.pairs), BLOCK):
        open_ones = [c for c in candidates if c not in verdicts]
        if not open_ones:
            break
        read = sweep.readings([sweep.layers, *open_ones], range(start, min(start + BLOCK, len(sweep.pairs))), steps)
        legible = [pair for pair, reading in enumerate(read[sweep.layers]) if reading.exact]
        counted += len(legible)
        for candidate in open_ones:
            exact = sum(read[candidate][pair].exact for pair in legible)
            good[candidate] += exact
            ratio[candidate] += exact * math.log(GOOD / BAD) + (len(legible) - exact) * math.log((1 - GOOD) / (1 - BAD))
            if not refuse < ratio[candidate] < accept:
                verdicts[candidate] = Verdict(ratio[candidate] > 0, True, good[candidate], counted)
    if not counted:
        raise illegible()
    return {c: verdicts.get(c, Verdict(good[c] >= REACH * counted, False, good[c], counted)) for c in candidates}


def illegible():
    return ValueError(
        "The word cannot be read in any picture, even with all layers patched: the model does not draw it. "
        "Try other words, more steps, larger pictures or another prompt template."
    )


def doubts(sweep, chosen, verdicts):
    if len(chosen) == len(sweep.layers):
        yield "no smaller set does as well as all layers"
    open_ones = [candidate for candidate, verdict in verdicts.items() if not verdict.decided]
    if open_ones:
        sets = "; ".join(", ".join(map(str, candidate)) for candidate in open_ones)
        yield f"{len(sweep.pairs)} pairs are too few to decide about the layers {sets}: give more pairs"
