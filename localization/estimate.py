"""What a search will cost, told before it begins.

expected    calls of the model
said        the same for people, with the time that they take

The search itself runs over answers that are made up, and what it would have drawn is counted: as if DECIDING layers carried the word, each
as much as the others, and every word were read. A word that needs more layers, or is read badly, costs more.
"""

import numpy as np

from .choice import chooser
from .drawing import SOURCE, TARGET
from .localize import QUICK, WEIGHED
from .proof import confirm, weigh
from .strategies import ADD_UP, STRATEGIES
from .sweep import SHOWN, Reading

DECIDING = 3  # layers, as in SDXL
_MOST = 1000  # pairs that are counted one by one
_READ, _OTHER = Reading(True, 1.0, ""), Reading(False, 0.0, "")


class _Counted:
    """Answers like a Sweep, and counts. guided: calls of a step of a guided picture; own_run: whether the target's run is a row as well.
    The picture by which a call was timed is there."""

    def __init__(self, layers, pairs, steps, guided, own_run):
        self.layers, self.pairs, self.steps = tuple(range(layers)), pairs, steps
        self.half, self.seen, self.calls = -(-steps // 2), 0, 0
        self._guided, self._own_run, self._carry = guided, own_run, self.layers[-DECIDING:]
        self._drawn = {("read", 0, SOURCE, steps)}

    def _draw(self, pairs, candidates, steps, kind):
        self.seen = max([self.seen, *(pair + 1 for pair in pairs)])
        cost = 1 if kind == "first" else steps * self._guided
        for pair in pairs:
            new = {(kind, pair, candidate, steps) for candidate in candidates} - self._drawn
            patched = any(candidate not in (SOURCE, TARGET) for _, _, candidate, _ in new)
            # A target's run is a picture, too, but it is drawn again for every batch.
            self.calls += cost * (len(new) + (patched and self._own_run and (kind, pair, TARGET, steps) not in new))
            self._drawn |= new

    def _share(self, candidate):
        return 1.0 if candidate == TARGET else sum(layer in candidate for layer in self._carry) / len(self._carry)

    def closeness(self, candidates, pairs, steps=1):
        candidates, pairs = list(candidates), list(pairs)
        self._draw(pairs, [SOURCE, self.layers, *candidates], steps, "first" if steps == 1 else "closeness")
        return {c: [1 - (1 - self._share(c)) ** 2] * len(pairs) for c in candidates}

    def slopes(self, base, weights, pairs):
        pairs = list(pairs)
        self._draw(pairs, [base, self.layers], 1, "first")
        self.calls += len(pairs) * (3 * len(weights) + self._own_run)
        by_layer = np.isin(self.layers, self._carry) & ~np.isin(self.layers, base)
        uneven = 1 if base else 1 - 2 * ADD_UP  # as in most models: the slopes do not add up
        return np.tile(uneven * by_layer / max(1, by_layer.sum()), (len(pairs), len(weights), 1))

    def readings(self, candidates, pairs, steps=None):
        candidates, pairs, steps = list(candidates), list(pairs), steps or self.steps
        self._draw(pairs, candidates, steps, "read")
        return {c: [_READ if self._share(c) == 1 else _OTHER] * len(pairs) for c in candidates}


def expected(drawing, strategy, proof):
    """Calls of a search by a strategy, of its test, and of the pictures that are shown."""
    setting = drawing.setting
    pairs = drawing.pairs[:_MOST]  # only one strategy looks at all
    more = len(drawing.pairs) / len(pairs) if strategy == "exhaustive" else 1
    sweep = _Counted(len(drawing.names), pairs, setting.steps, 1 if setting.cfg == 1 else 2, drawing.has_own_run)
    chosen = chooser(strategy)(sweep, STRATEGIES[strategy](sweep), sweep.half).layers
    first = sweep.seen
    if proof != QUICK:
        confirm(sweep, chosen, first)
    if proof == WEIGHED and first < len(sweep.pairs):
        weigh(sweep, chosen, first)
    others = tuple(layer for layer in sweep.layers if layer not in chosen)
    sweep.readings([SOURCE, TARGET, chosen, others], range(min(SHOWN, len(sweep.pairs))))
    return round(more * sweep.calls)


def said(calls, pace, kept):
    """calls: of the model; pace: seconds each, of one that was timed, 0 where none was; kept: whether a search that was stopped goes on."""
    time = f", {in_words(calls * pace)} at the pace of one picture; less where several fit into a batch" if pace else ""
    lines = f"About {calls:,} model calls{time}"
    return f"{lines}{', and what a search that was stopped has found is not asked again' if kept else ''}."


def in_words(seconds):
    """ "about 3 minutes" """
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.0f} {unit}s"
    return f"about {max(1, round(seconds))} second{'s' if round(seconds) > 1 else ''}"
