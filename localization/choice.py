"""From a ranking to the smallest set of layers, by the model's first prediction; OCR reads the set that comes out, and few others.

choose      grows a set by what closes the gap to all layers, leaves out what closes none, and has it read
chooser     this one or selection.select, by the strategy that has ranked
looks_at    how many pairs a search looks at
curve       how much of the effect the most decisive layers have, by their number

A set is complete when no more than GAP is missing of the way to all layers' first prediction, or when no further layer closes CLOSES of
what is missing. Which layers could is told by slopes: one backward pass asks all of them, and the best two are measured. Where single
layers close little and much is missing, several are taken in at once, and those that were not needed are left out at the end.
"""

import math

import numpy as np

from ..patching.messages import NoGradient
from .selection import CLOSE_PAIRS, CLOSERS, CLOSES, GAP, Selection, Verdict, doubts, gaps, illegible, select
from .selection import READ as SELECTED
from .strategies import without

MEASURED, ASKED = 2, 4  # layers, of those whose slopes are the largest, whose gap is measured; pairs whose slopes tell which
NEAR, MORE_PAIRS = 2, 16  # a gap that is less than so many times as large as GAP, or as small, is measured on more pairs
DIFFUSE = 0.1  # missing of the way: where more is, layers are taken in several at once
GOOD, BAD = 0.98, 0.85  # rates between which OCR tells sets that can be tested from others; what is stated as sure is tested by proof.py
ACCEPT, REFUSE = 0.1, 0.05  # probability of going on with a bad set, and of refusing a good one
READ, BLOCK = 20, 4  # legible pairs at most that are read of a set; how many at once


def choose(sweep, ranking, steps=None):
    """As selection.select, at a cost that hardly grows with the number of layers, nor much with that of those that decide."""
    verdicts = {}

    def passes(layers):
        if layers not in verdicts:
            verdicts[layers] = _read(sweep, layers, steps)
        return verdicts[layers].reaches

    chosen = close = _lean(sweep, _grown(sweep, ranking))
    refused, more = None, 1
    while not passes(chosen) and len(chosen) < len(sweep.layers):
        following = [layer for layer in ranking.order if layer not in chosen]
        refused = chosen
        chosen = _joined(chosen, following[:more])
        more *= 2
    if refused is not None:
        chosen = _narrowed(ranking, refused, chosen, passes)
    return Selection(chosen, verdicts, tuple(doubts(sweep, chosen, verdicts)), close)


def chooser(strategy):
    return choose if strategy == "gradients" else select


def looks_at(strategy):
    """Pairs, from the top, that a search by a strategy looks at, where the words are read; None for all that there are."""
    return None if strategy == "exhaustive" else READ if chooser(strategy) is choose else SELECTED


def curve(sweep, ranking):
    """[(number of layers, share of the effect on the first prediction)] of the most decisive ones, all in the end."""
    count = len(sweep.layers)
    sizes = sorted({min(count, 2**power) for power in range(math.ceil(math.log2(count)) + 1)} | {math.ceil(count / 2)})
    sets = {size: tuple(sorted(ranking.order[:size])) for size in sizes}
    missing = gaps(sweep, sets.values(), CLOSE_PAIRS)
    return tuple((size, round(1 - missing[layers], 4)) for size, layers in sets.items())


def _gap(sweep, layers):
    """On more pairs where it is near the line."""
    found = gaps(sweep, [layers], CLOSE_PAIRS)[layers]
    return gaps(sweep, [layers], MORE_PAIRS)[layers] if GAP / NEAR < found < NEAR * GAP else found


def _grown(sweep, ranking):
    chosen = ranking.order[:1]
    while len(chosen) < len(sweep.layers) and (missing := _gap(sweep, chosen)) > GAP:
        following = _following(sweep, ranking, chosen)
        wider = [_joined(chosen, [layer]) for layer in following[:MEASURED]]
        left = gaps(sweep, [chosen, *wider], CLOSE_PAIRS)
        best = min(wider, key=left.get)
        if left[best] <= (1 - CLOSES) * left[chosen]:
            chosen = best
        elif missing <= DIFFUSE:
            break
        else:
            chosen = _several(sweep, chosen, following, (1 - CLOSES) * left[chosen])
    return chosen


def _following(sweep, ranking, chosen):
    """The other layers, those first that close most of what the chosen ones leave."""
    others = [layer for layer in ranking.order if layer not in chosen]
    pairs = range(min(ASKED, len(sweep.pairs)))
    try:
        slopes = sweep.slopes(chosen, (0.5,), pairs)[:, 0]
    except NoGradient:
        some = others[:CLOSERS]
        single = gaps(sweep, [_joined(chosen, [layer]) for layer in some], CLOSE_PAIRS)
        return sorted(some, key=lambda layer: single[_joined(chosen, [layer])]) + others[CLOSERS:]
    # A slope is a share of what is missing: where little is, a large share is nothing.
    missing = 1 - np.array(sweep.closeness([chosen], pairs)[chosen])
    closes = (slopes * missing[:, None]).mean(0)
    return sorted(others, key=lambda layer: -closes[layer])


def _several(sweep, chosen, following, wanted):
    """With as few of the following layers as leave no more missing than is wanted."""

    def left(count):
        layers = _joined(chosen, following[:count])
        return gaps(sweep, [layers], CLOSE_PAIRS)[layers]

    few, many = 1, 2
    while many < len(following) and left(many) > wanted:
        few, many = many, 2 * many
    many = min(many, len(following))
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if left(middle) <= wanted else (middle, many)
    return _joined(chosen, following[:many])


def _lean(sweep, chosen):
    """Without the layers, as many at once as can be, that close no good part of the gap which the set has without them."""

    def is_missed(fewer):
        missing = _gap(sweep, fewer)
        return missing > GAP and _gap(sweep, chosen) <= (1 - CLOSES) * missing

    if len(chosen) == 1:
        return chosen
    left = gaps(sweep, [without(chosen, (layer,)) for layer in chosen], CLOSE_PAIRS)
    spare = [layer for layer in chosen if not is_missed(without(chosen, (layer,)))]
    spare = sorted(spare, key=lambda layer: left[without(chosen, (layer,))])[: len(chosen) - 1]
    while spare and is_missed(without(chosen, spare)):
        spare = spare[: len(spare) // 2]
    return without(chosen, spare)


def _narrowed(ranking, refused, passed, passes):
    """Of the layers that were added last, as few as are needed."""
    added = [layer for layer in ranking.order if layer in passed and layer not in refused]
    few, many = 0, len(added)
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if passes(_joined(refused, added[:middle])) else (middle, many)
    return _joined(refused, added[:many])


def _joined(chosen, more):
    return tuple(sorted((*chosen, *more)))


def _read(sweep, layers, steps):
    """Verdict of Wald's test of GOOD against BAD, of READ legible pairs at most. All layers are drawn only where the set is not read:
    a pair that it reads is legible."""
    accept, refuse = math.log((1 - REFUSE) / ACCEPT), math.log(REFUSE / (1 - ACCEPT))
    ratio, good, counted = 0.0, 0, 0
    for start in range(0, len(sweep.pairs), BLOCK):
        pairs = list(range(start, min(start + BLOCK, len(sweep.pairs))))
        exact = {pair: reading.exact for pair, reading in zip(pairs, sweep.readings([layers], pairs, steps)[layers], strict=True)}
        missed = [pair for pair in pairs if not exact[pair]]
        if missed and layers != sweep.layers:
            legible = sum(reading.exact for reading in sweep.readings([sweep.layers], missed, steps)[sweep.layers])
        else:
            legible = 0
        right = sum(exact.values())
        good, counted = good + right, counted + right + legible
        ratio += right * math.log(GOOD / BAD) + legible * math.log((1 - GOOD) / (1 - BAD))
        if start + BLOCK >= READ and not counted:
            break
        if not refuse < ratio < accept or counted >= READ:
            return Verdict(ratio > 0, True, good, counted)
    if not counted:
        raise illegible()
    return Verdict(ratio > 0, False, good, counted)
