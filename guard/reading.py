"""What ComfyUI reads of a prompt: without weights, comments and embeddings, and with one of each choice.

readings     prompt -> [Reading]
"""

import itertools
import re
from dataclasses import dataclass

from comfy.sd1_clip import escape_important, token_weights, unescape_important

_DEEPEST = 100  # brackets in brackets; ComfyUI gives up at about 900
_MOST = 32  # readings of one prompt's choices
_MARKUP = re.compile(r"[()\[\]{}\\]|/\*|//|embedding:")
# As the front end takes them out of a text box with choices.
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_EMBEDDING = re.compile(r"(?:(?<=\s)|^)embedding:[^\s,]*")


@dataclass(frozen=True)
class Reading:
    """places: where each character of the text stands in the prompt as it was written."""

    text: str
    places: tuple[int, ...]


class _Placed(str):
    """A text that remembers where its characters come from, through all that ComfyUI's parser does to it; -1: from the parser itself."""

    def __new__(cls, text, places):
        placed = super().__new__(cls, text)
        placed.places = tuple(places)
        return placed

    def __add__(self, other):
        return _Placed(str(self) + str(other), self.places + _places(other))

    def __radd__(self, other):
        return _Placed(str(other) + str(self), _places(other) + self.places)

    def __getitem__(self, at):
        places = self.places[at]
        return _Placed(super().__getitem__(at), places if isinstance(at, slice) else (places,))

    def __iter__(self):
        return (_Placed(character, (place,)) for character, place in zip(str(self), self.places, strict=True))

    def replace(self, old, new):
        pieces, done = _Placed("", ()), 0
        for found in re.finditer(re.escape(old), self):
            pieces += self[done : found.start()] + _Placed(new, [self.places[found.start()]] * len(new))
            done = found.end()
        return pieces + self[done:]

    def without(self, pattern):
        kept, done = _Placed("", ()), 0
        for found in pattern.finditer(self):
            kept += self[done : found.start()]
            done = found.end()
        return kept + self[done:]


def _places(text):
    return getattr(text, "places", (-1,) * len(text))


def readings(prompt):
    """Each way to read it; last the prompt as it stands, for text encoders that know no weights. Raises ValueError for brackets that
    nest deeper than ComfyUI can follow."""
    whole, every = _Placed(prompt, range(len(prompt))), []
    if _MARKUP.search(prompt):
        _check_depth(prompt)
        every = [_encoded(chosen) for chosen in _chosen(whole.without(_COMMENT))]
    return [Reading(str(text), text.places) for text in (*every, whole.without(_EMBEDDING))]


def _check_depth(prompt):
    for opening, closing in ("()", "{}"):
        depth = list(itertools.accumulate((c == opening) - (c == closing) for c in prompt))
        if max(depth) - min(0, *depth) > _DEEPEST:
            raise ValueError(f"The prompt has more than {_DEEPEST} brackets {opening}{closing} inside one another; take some away.")


def _encoded(text):
    """As comfy.sd1_clip tokenizes it. Brackets of all kinds are left out: those that it keeps are drawn at most as brackets."""
    read = _Placed("", ())
    for segment, _weight in token_weights(escape_important(text), 1.0):
        read += unescape_important(_Placed(segment, _places(segment))).without(_EMBEDDING)
    return read.without(re.compile(r"[()\[\]{}\\]"))


def _chosen(text):
    """{a|b} with each of its alternatives, in all combinations; where these are too many, each alternative once, and all in a row."""
    items, _ = _alternatives(text, 0, "")
    groups = []
    _collect(items, groups)
    if not groups:
        return [text]
    counts = [len(group) for group in groups]
    combinations = itertools.islice(itertools.product(*map(range, counts)), _MOST + 1)
    picks = list(combinations)
    if len(picks) <= _MOST:
        return [_picked(items, dict(zip(map(id, groups), pick, strict=True))) for pick in picks]
    once = [{id(group): turn % len(group) for group in groups} for turn in range(min(max(counts), _MOST))]
    return [_picked(items, pick) for pick in once] + [text.replace("|", " ")]


def _alternatives(text, at, closing):
    """The text as a list of pieces and, for {a|b}, lists of alternatives, each such a list itself; and where it ends."""
    options = [[]]
    while at < len(text):
        mark = str(text[at])
        if mark == "\\" and at + 1 < len(text):
            options[-1].append(text[at : at + 2])
            at += 2
            continue
        if mark == "{":
            inside, at = _alternatives(text, at + 1, "}")
            options[-1].append(tuple(inside))
        elif mark == closing:
            return options, at
        elif mark == "|" and closing:
            options.append([])
        else:
            options[-1].append(text[at])
        at += 1
    return (options if closing else options[0]), at


def _collect(items, groups):
    for item in items:
        if isinstance(item, tuple):
            groups.append(item)
            for option in item:
                _collect(option, groups)


def _picked(items, pick):
    out = _Placed("", ())
    for item in items:
        out += _picked(item[pick[id(item)]], pick) if isinstance(item, tuple) else item
    return out
