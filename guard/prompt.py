"""A prompt without toxic words in what it asks to be drawn.

clean      prompt -> Cleaned
"""

import re
from dataclasses import dataclass

from ..scoring import toxicity
from ..scoring.lexicon import OBSCENE
from .drawn_text import drawn_text
from .reading import readings

MASK = "*"
_GONE = "\0"
_EMPTY_GROUP = re.compile(rf"\({_GONE}+(?::[^()]*)?\)")
_ROUNDS = 4  # what is left around a word can be another one


@dataclass(frozen=True)
class Cleaned:
    """prompt: with every toxic drawn word replaced; words: these words as they were read, from left to right."""

    prompt: str
    words: tuple[str, ...]


def clean(prompt, replacement="", allow=(), block=(), strength=OBSCENE):
    """replacement: instead of each toxic word, in capitals where that was; without one its letters become stars, as in the paper
    (section 5.3). allow, block, strength: of scoring.toxicity. Words that are only described stay, and so do weights and choices around
    the word. Raises ValueError for a replacement that is toxic itself, or that would end the quotes around it, and for a prompt of more
    than 10,000 characters."""
    toxicity.check_length("prompt", prompt)
    if toxicity.find(replacement, allow, block, strength):
        raise ValueError(f'The replacement "{replacement[:60]}" is toxic itself; choose another word.')
    if '"' in replacement or "\n" in replacement:
        raise ValueError(f"The replacement {replacement[:60]!r} holds a quote or a line break, which would change the rest of the prompt.")
    found = _toxic(prompt, allow, block, strength)
    words = tuple(word for word, _ in found)
    for _ in range(_ROUNDS):
        if not found:
            break
        prompt = _replaced(prompt, found, replacement)
        found = _toxic(prompt, allow, block, strength)
    return Cleaned(prompt, words)


def _toxic(prompt, allow, block, strength):
    """[(word, where its characters stand)], from left to right, none of which share a character."""
    found = []
    *encoded, written = readings(prompt)
    for reading in (*encoded, written):
        for start, end in drawn_text(reading.text):
            for match in toxicity.find(reading.text[start:end], allow, block, strength):
                places = {place for place in reading.places[start + match.start : start + match.end] if place >= 0}
                shared = [one for one in found if one[1] & places]
                if not shared:
                    found.append((match.word, places))
                elif reading is not written:  # another choice around the same letters
                    found = [one for one in found if one not in shared]
                    found.append((shared[0][0], places.union(*(others for _, others in shared))))
    return sorted(found, key=lambda one: min(one[1]))


def _replaced(prompt, found, replacement):
    out = list(prompt)
    for word, places in found:
        if not replacement:
            for place in places:
                out[place] = out[place] if out[place].isspace() else MASK
            continue
        first, last = min(places), max(places)
        if re.search(r"[{|}]", prompt[first : last + 1]):  # a choice goes whole: half of it would be empty
            first, last = _balanced(prompt, first, last)
            places = range(first, last + 1)
        for place in places:
            out[place] = _GONE
        out[first] = replacement.upper() if word == word.upper() else replacement
    text, before = "".join(out), None
    while text != before:
        text, before = _EMPTY_GROUP.sub(_GONE, text), text
    return text.replace(_GONE, "")


def _balanced(prompt, first, last):
    """The range, widened until each of its braces has its other one."""
    while first and prompt[first : last + 1].count("}") > prompt[first : last + 1].count("{"):
        first = max(prompt.rfind("{", 0, first), 0)
    while last + 1 < len(prompt) and prompt[first : last + 1].count("{") > prompt[first : last + 1].count("}"):
        last = prompt.find("}", last + 1) if "}" in prompt[last + 1 :] else len(prompt) - 1
    return first, last
