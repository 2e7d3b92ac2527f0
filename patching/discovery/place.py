"""Where the text stands among the keys of an attention, found by what moves them.

Unclear     it cannot be told; the message says why
piece       the text's tokens, of keys that were seen to move
Sample      one call of the model, and what was found in it
fit         a rule for all calls, from a few of them
"""

from dataclasses import dataclass
from functools import partial

import torch


class Unclear(ValueError):
    """Something about a model could not be found out by looking."""


def piece(text, picture, beside, level):
    """slice of the text's tokens. Each argument: [keys], whether a key moves with the text, with the noise, with what stands beside the
    text and with the noise level, while all else stays.

    Keys that move with nothing (registers, padding) are the text's where nothing else is between: they carry text from the first layer
    on, or are of its length. Raises Unclear where text and picture do not stand apart.
    """
    if not text.any():
        raise Unclear("no key moves with the text")
    if (text & (picture | beside)).any():
        raise Unclear("keys move both with the text and with the picture")
    places = text.nonzero().flatten().tolist()
    start, stop = places[0], places[-1] + 1
    others = picture | beside
    if not (text & level).any():
        others = others | level  # a token of the noise level, where the text has nothing of it
    if others[start:stop].any():
        raise Unclear("other tokens stand between those of the text")
    while start > 0 and not others[start - 1]:
        start -= 1
    while stop < len(text) and not others[stop]:
        stop += 1
    return slice(start, stop)


def gap(text, picture, where):
    """How many keys that move with nothing stand between the text's and the picture's."""
    moved, seen = text.nonzero().flatten().tolist(), picture.nonzero().flatten().tolist()
    before = any(place < where.start for place in seen) * (moved[0] - where.start)
    behind = any(place >= where.stop for place in seen) * (where.stop - 1 - moved[-1])
    return before + behind


@dataclass(frozen=True)
class Sample:
    """counts: {"module path:argument": length of its second axis}."""

    keys: int
    start: int
    stop: int
    counts: dict


def fit(samples):
    """(what is counted, text(*counts, keys) -> slice) that are right in all samples. Raises Unclear where there are none.

    Of the rules that fit, those are taken that have the fewest fixed numbers; where several have, they must agree in every later call, or
    it is refused.
    """
    starts, stops = _starts(samples), _stops(samples)
    if not starts or not stops:
        raise Unclear("nothing in the model counts the text's tokens")
    least = min(cost for cost, *_ in starts) + min(cost for cost, *_ in stops)
    rules = [(a, b) for cost, *a in starts for more, *b in stops if cost + more == least]
    counted = sorted({where for rule in rules for _, where, _ in rule if where})
    return tuple(counted), partial(_text, tuple(rules), tuple(counted))


def _text(rules, counted, *counts_and_keys):
    *counts, keys = counts_and_keys
    count = dict(zip(counted, counts, strict=True))
    found = set()
    for (begin, first, a), (end, second, b) in rules:
        start = {"at": a, "behind": count.get(first, 0), "from the end": keys - count.get(first, 0)}[begin]
        found.add((start, {"from the end": keys - b, "long": start + count.get(second, 0) + b}[end]))
    if len(found) > 1 or not all(0 <= start <= stop <= keys for start, stop in found):
        raise RuntimeError(
            "Where the text stands in this model was found by looking at a plain picture of it, and in this call it cannot be told: there "
            f"are {keys} keys, of which the text may be any of {sorted(found)}. Something that was not there then (a reference, a second "
            "picture) has tokens of its own. Leave it out."
        )
    ((start, stop),) = found
    return slice(start, stop)


def _vectors(samples):
    """{lengths in all samples: the first argument that has them}"""
    found = {}
    for where in samples[0].counts:
        if all(where in sample.counts for sample in samples):
            found.setdefault(tuple(sample.counts[where] for sample in samples), where)
    return found


def _starts(samples):
    starts = [sample.start for sample in samples]
    found = [(int(starts[0] != 0), "at", "", starts[0])] if len(set(starts)) == 1 else []
    for counts, where in _vectors(samples).items():
        if len(set(counts)) > 1:
            if list(counts) == starts:
                found.append((0, "behind", where, 0))
            if [sample.keys - count for sample, count in zip(samples, counts, strict=True)] == starts:
                found.append((0, "from the end", where, 0))
    return found


def _stops(samples):
    left = [sample.keys - sample.stop for sample in samples]
    found = [(int(left[0] != 0), "from the end", "", left[0])] if len(set(left)) == 1 else []
    for counts, where in _vectors(samples).items():
        more = {sample.stop - sample.start - count for sample, count in zip(samples, counts, strict=True)}
        if len(set(counts)) > 1 and len(more) == 1:
            found.append((int(more != {0}), "long", where, *more))
    return found


def moved(a, b, of=None):
    """[keys]: whether a token is another one. a, b: Seen of two calls; of: "k" or "v" alone."""
    found = torch.zeros(a.keys, dtype=torch.bool)
    for part in "kv" if of is None else of:
        one, two = getattr(a, part)[0], getattr(b, part)[0]
        found |= ~((one - two).abs().amax(-1) <= _SAME * one.abs().max())
    return found


_SAME = 1e-4  # of the largest: experts are chosen for a whole call, so that other tokens' company changes the last digits
