"""Do given text layers decide the drawn word in this model? A few dozen calls of the model, and what they can show.

check     asks, and gives a verdict
Checked   what was seen, and its verdict
report    the same for people, in lines of text
HOLD, PARTLY, NOT, UNTOLD   the verdicts

Two kinds of evidence. The model's first prediction, one call a picture, compares the layers with all others and with random sets of as
many, on the same pairs of words. And a word that OCR reads half-way through the schedule, where the plain target prompt is drawn, and the
source with the target's text in the layers: it shows that the model draws words at all, and that the layers put them there.

A word is *carried* by the layers where they bring the first prediction further than half of the way to that of all layers patched, and
further than all other layers and a random set; *wholly* where no more than MISSING of the way is missing. The verdicts are sign tests: of
n words, as many are carried (or are not) as a fair coin shows in at most ERROR / 2 of all cases. So "hold" is wrong in at most that share
of checks where half of all words or fewer are carried wholly, "hold partly" where half or fewer are carried, and "do not hold" where half
or more are, however the effect is spread over words. At most two of these can be wrong of one model, so that any verdict is wrong in ERROR
at most.
"""

import math
import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .drawing import TARGET, Picture, first_prediction
from .proof import random_sets

HOLD, PARTLY, NOT, UNTOLD = "hold", "hold partly", "do not hold", "cannot be told"
CALLS = 60  # rows of batches that the model evaluates, in all
PAIRS, MOST_PAIRS = 6, 24  # of words; six are as few as a sign test can decide by
ERROR = 0.05  # of checks that may give a verdict which is wrong
CARRIED, MISSING = 0.5, 0.02  # of the way to all layers' first prediction, by squared distance; on what they rest: docs/localization.md


@dataclass(frozen=True)
class Word:
    """exact: the plain target prompt draws it; edited: the layers draw it, None where they were not asked. read: of both."""

    text: str
    exact: bool
    edited: bool | None
    read: tuple[str, ...]

    @property
    def legible(self):
        return self.exact or bool(self.edited)


@dataclass(frozen=True)
class Checked:
    """verdict: one of the four; why: where it cannot be told. layers, others, drawn: how far the layers, all others and a random set each
    bring the first prediction of each word, 0 none, 1 all of the way; words: that were read; calls: of the model, each row counted."""

    verdict: str
    why: str
    layers: tuple[float, ...]
    others: tuple[float, ...]
    drawn: tuple[float, ...]
    words: tuple[Word, ...]
    calls: int

    @property
    def carried(self):
        return _carried(self.layers, self.others, self.drawn, CARRIED)

    @property
    def wholly(self):
        return _carried(self.layers, self.others, self.drawn, 1 - MISSING)


def check(sweep, layers, calls=CALLS):
    """sweep: a Sweep whose pairs no search has looked at; layers: numbers of text layers; calls: of the model at most (more only where
    memory runs out, and pictures are drawn again). Raises ValueError where no layer is left to compare with, and for too few pairs or
    calls."""
    drawing, half = sweep.drawing, sweep.half
    layers = tuple(sorted(layers))
    others = tuple(layer for layer in sweep.layers if layer not in layers)
    if not others:
        raise ValueError("These are all text layers of the model: there is nothing to compare them with.")
    if len(sweep.pairs) < PAIRS:
        raise ValueError(f"{len(sweep.pairs)} word pairs are too few: give {PAIRS} or more.")
    rng = random.Random(drawing.setting.seed)
    sets = random_sets(sweep.layers, layers, rng, MOST_PAIRS)
    rng.shuffle(sets)  # they come in order, and the first few would share their first layers
    # One of the sets can be that of all others, and is then not drawn a second time.
    pair_cost = max(sweep.price([first_prediction(0, c) for c in ((), sweep.layers, layers, others, drawn)]) for drawn in sets[:2])
    word_cost = sweep.price(_of_word(0, layers, half))
    if PAIRS * pair_cost + word_cost > calls:
        raise ValueError(_too_few(calls, PAIRS * pair_cost, word_cost, drawing.setting))
    pairs = min(max(PAIRS, min(calls // 2, calls - word_cost) // pair_cost), MOST_PAIRS, len(sweep.pairs))
    started = drawing.model_calls
    words = _words(sweep, layers, lambda: drawing.model_calls - started, calls, pairs * pair_cost)
    if not any(word.legible for word in words if word.edited is not None):
        return Checked(UNTOLD, _illegible(words), (), (), (), words, drawing.model_calls - started)
    close = []
    for pair in range(pairs):
        drawn = sets[pair % len(sets)]
        found = sweep.closeness([sweep.layers, layers, others, drawn], [pair])
        if found[sweep.layers] == [1.0]:  # else the target's text changes nothing, and there is no way to go
            close.append([found[candidate][0] for candidate in (layers, others, drawn)])
    ours, theirs, by_chance = (tuple(values) for values in zip(*close, strict=True)) if close else ((), (), ())
    verdict, why = decide(ours, theirs, by_chance, words)
    return Checked(verdict, why, ours, theirs, by_chance, words, drawing.model_calls - started)


def decide(layers, others, drawn, words):
    """(verdict, why not) from what Checked holds."""
    count, most = len(layers), enough(len(layers))
    carried = sum(_carried(layers, others, drawn, CARRIED))
    wholly = sum(_carried(layers, others, drawn, 1 - MISSING))
    if most > count:
        return UNTOLD, f"the target's text changes the first prediction for {count} of the words only"
    legible = [word for word in words if word.legible and word.edited is not None]
    edited = sum(word.edited for word in legible)
    if wholly >= most and edited == len(legible) > 0:
        return HOLD, ""
    if carried >= most:
        return PARTLY, ""
    if count - carried >= most:
        if edited == len(legible) > 0:
            return UNTOLD, "the pictures are read as the target's word, though the first prediction is that of other layers"
        return NOT, ""
    return UNTOLD, f"the words disagree: {carried} of {count} are carried by these layers"


@lru_cache
def enough(pairs):
    """Words of so many that have to agree; more than there are where too few can never do."""
    from scipy.stats import binom

    return next((k for k in range(pairs + 1) if binom.sf(k - 1, pairs, 0.5) <= ERROR / 2), pairs + 1)


def report(checked, layers, everything, engine):
    """Several lines. layers: numbers of those that were checked; everything: how many the model has; engine: name of the OCR."""
    head = f"Text layers {', '.join(map(str, layers))} of {everything}"
    lines = [
        f"{head} {checked.verdict} in this model{_claim(checked)}" if not checked.why else f"{head}: it cannot be told, {checked.why}."
    ]
    if checked.layers:
        rows = {"these layers": checked.layers, "all other layers": checked.others, "random sets of as many": checked.drawn}
        lines.append(f"How much of the effect on the first prediction is theirs, in the median of {len(checked.layers)} words:")
        lines += [f"  {name}: {_share(values)}" for name, values in rows.items()]
    for word in checked.words:
        drawn = [f"the target's prompt is read as {_quoted(word.read[0])}"]
        drawn += [f"these layers as {_quoted(word.read[1])}"] if word.edited is not None else []
        lines.append(f"{word.text}, half-way, {engine}: {', '.join(drawn)}.")
    lines.append(f"{checked.calls} calls of the model, one for each row of a batch.")
    return "\n".join(lines)


def _carried(layers, others, drawn, least):
    return tuple(ours >= least and ours > max(rest, chance) for ours, rest, chance in zip(layers, others, drawn, strict=True))


def _of_word(pair, layers, half):
    return [Picture(pair, TARGET, half), Picture(pair, layers, half)]


def _words(sweep, layers, spent, calls, reserved):
    """Words read until only what is reserved for first predictions is left; where none was legible, all calls ask whether any is."""
    words, left, half = [], list(range(len(sweep.pairs))), sweep.half
    while left and spent() + sweep.price(_of_word(left[0], layers, half)) + reserved <= calls:
        pair = left.pop(0)
        read = sweep.readings([TARGET, layers], [pair], half)
        plain, edit = read[TARGET][0], read[layers][0]
        words.append(Word(sweep.pairs[pair].target, plain.exact, edit.exact, (plain.read, edit.read)))
    if any(word.legible for word in words):
        return tuple(words)
    while left and spent() + sweep.price([Picture(left[0], TARGET, half)]) <= calls:
        pair = left.pop(0)
        plain = sweep.readings([TARGET], [pair], half)[TARGET][0]
        words.append(Word(sweep.pairs[pair].target, plain.exact, None, (plain.read,)))
    return tuple(words)


def _illegible(words):
    read = sum(word.exact for word in words)
    if not read:
        return (
            f"the model does not draw the words: none of {len(words)} is read. Take another template, larger pictures, more steps or words "
            "that it draws"
        )
    return f"the model draws too few of the words: {read} of {len(words)} are read. Take another template or seed, or more calls"


def _too_few(calls, pairs, word, setting):
    guided = "" if setting.cfg == 1 else " with guidance"
    fits = 2 * max(0, (calls - pairs) * math.ceil(setting.steps / 2) // word)
    advice = f"Take at most {fits} steps, or {pairs + word} calls" if fits >= 2 else f"Take {pairs + word} calls"
    return (
        f"{calls} calls of the model are too few: first predictions take {pairs}, and the pictures of one word with {setting.steps} steps"
        f"{guided} take {word}. {advice}."
    )


def _claim(checked):
    wrong = f"such a verdict is wrong in {100 * ERROR:.0f} % of checks at most"
    count = len(checked.layers)
    legible = sum(word.legible and word.edited is not None for word in checked.words)
    missed = [word.text for word in checked.words if word.legible and word.edited is False]
    if checked.verdict == HOLD:
        return (
            f": of most words they carry at least {100 * (1 - MISSING):.0f} % of the effect, more than all other layers and than random "
            f"sets ({sum(checked.wholly)} of {count} words; {wrong}), and {legible} of {legible} words that were drawn are read."
        )
    if checked.verdict == PARTLY:
        lacks = f"{sum(checked.wholly)} of {count} are carried to {100 * (1 - MISSING):.0f} %"
        lacks += f", and {', '.join(missed)} is not read" if missed else ""
        return f": they carry most words more than other layers do ({sum(checked.carried)} of {count}; {wrong}), but {lacks}."
    return f": most words they carry less than half, or no more than other layers do ({count - sum(checked.carried)} of {count}; {wrong})."


def _share(values):
    """Median, and the order statistics that hold it in 1 - ERROR of samples at least."""
    ordered, most = np.sort(values), enough(len(values))
    around = f" ({100 * ordered[-most]:.1f} to {100 * ordered[most - 1]:.1f})" if most <= len(ordered) else ""
    return f"{100 * float(np.median(ordered)):.1f} %{around}"


def _quoted(read):
    return f'"{" / ".join(read.splitlines())}"'
