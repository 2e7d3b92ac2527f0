"""Toxic words in the forms in which people write them: inflected (idiotically), run together (clownbeast), misspelled (fagit) and
masked (f***ing).

Forms    words -> what knows them in all these forms
"""

import re
from functools import lru_cache

from .english import UNKNOWN, apart, rank

_FEW = ("s", "es", "ed", "ing", "in", "er", "ers")  # of short words, and of words that are in no dictionary
_MANY = (
    *_FEW, "ings", "y", "ie", "ies", "ier", "iest", "ish", "ishly", "ly", "ness", "est", "ity", "ism", "ist", "ic", "ical",
    "ically", "ally", "ary", "ery", "ry", "ous", "ice", "cy", "hood", "able", "ation", "ify",
)  # fmt: skip
_TURNED = (("ant", "ance"), ("ent", "ence"), ("t", "cy"), ("nt", "ncy"), ("isy", "itical"), ("ite", "isy"))
_RARE = {3: UNKNOWN, 4: 30_000, 5: 0}  # by letters: how rare a word must be to count within others
_VOWELS = "aeiouy"
_ALIKE = ("bd", "mn", "uv", "ij", "il", "jl", "sz", "gq", "pq", "ei")
_MASKS = r"*#%~^•●█_\-"
_MASKED = re.compile(rf"(?<![^\W\d_])[^\W\d_]+[{_MASKS}]+(?:[^\W\d_]+[{_MASKS}]+)*(?:[^\W\d_]+|(?<=[*#%~^•●█]))(?![^\W\d_])")


class Forms:
    """words: basic forms, of letters a to z; harmless: words that are none of them, in whatever form."""

    def __init__(self, words, harmless=frozenset()):
        self.every = frozenset(form for word in words if word not in harmless for form in inflected(word)) - harmless
        # Short and ordinary ones are within too many other words: ass, cock.
        self._parts = frozenset(form for form in self.every if len(form) > 5 or _RARE[min(len(form), 5)] < rank(form) < UNKNOWN)
        self._sounds = {sound(form) for form in self.every if len(form) > 5}
        self._consonants = {_consonants(form) for form in self.every if len(form) > 3}
        self._by_start = {}
        for form in self.every:
            self._by_start.setdefault(form[0], []).append(form)
        self._harmless = harmless
        self.hold = lru_cache(20_000)(self._hold)

    def _hold(self, word):
        """Whether a word of letters a to z is one of these in any form."""
        if word in self.every:
            return True
        if len(word) < 3 or word in self._harmless or rank(word) < UNKNOWN:
            return False
        if parts := apart(word, self._parts):
            return any(part in self._parts for part in parts)
        return self._begins(word) or self._misspelled(word)

    def _begins(self, word):
        """A toxic word with something behind it that is none."""
        return any(word[start:end] in self._parts for start in (0, 1) for end in range(start + 5 + start, len(word)))

    def _misspelled(self, word):
        said = sound(word)
        if not set(said) & set(_VOWELS) and said in self._consonants:
            return True
        swapped = [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)]
        if any(other in self.every if len(word) == 4 else sound(other) in self._sounds for other in swapped):
            return True
        return len(said) > 3 and any(other in self._sounds for other in _misspellings(said))

    def masked(self, text):
        """[(start, end)] of words that hide letters behind stars and the like."""
        return [found.span() for found in _MASKED.finditer(text) if self._unmasked(found[0].lower())]

    @lru_cache(1000)  # noqa: B019
    def _unmasked(self, word):
        letters = re.sub(r"[^a-z]", "", word)
        if len(letters) > 1 and (self._hold(letters) and "-" not in word):
            return True
        hidden = len(word) - len(letters)
        if not letters or (len(letters) == 1 and hidden < 3) or len(word) < 3:
            return False

        def run(marks):
            ends = marks.end() == len(word)
            return f"[a-z]{{{len(marks[0]) if ends or set(marks[0]) == {'-'} else 0},{len(marks[0])}}}"

        pattern = re.compile(re.sub(r"[^a-z]+", run, word))
        return any(pattern.fullmatch(form) for form in self._by_start.get(word[0], ()) if len(letters) <= len(form) <= len(word))


@lru_cache(None)
def inflected(word):
    """The word and what grammar makes of it, some of which no one says."""
    if not re.fullmatch("[a-z]{3,}", word):
        return (word,)
    found = {word}
    endings = _MANY if len(word) > 4 and rank(word) < UNKNOWN else _FEW
    stems = {word}
    if word[-1] == "e":
        stems.add(word[:-1])
        found |= {word + "d", word + "r", word + "rs", word + "st"}
    if word[-1] == "y":
        stems.add(word[:-1] + "i")
        found |= {word[:-1] + "ie"}
    if word[-1] not in "aeiouwxy" and word[-2] in "aeiou":
        stems.add(word + word[-1])
    if len(word) > 4:
        found |= {word[: -len(old)] + new for old, new in _TURNED if word.endswith(old)}
    for stem in stems:
        found |= {stem + ending for ending in endings if not (stem != word and word[-1] == "e" and ending[0] == "s")}
    # What is much more frequent than the word that it would be made of is made of another: spices not of spic, spaces not of spac.
    return tuple(form for form in found if form == word or rank(form) == UNKNOWN or rank(form) > rank(word) / 2)


@lru_cache(50_000)
def sound(word):
    """Near to how it sounds: doubled letters once, ck as k, c as k or s, ph as f, oo as u."""
    word = re.sub("c(?=[eiy])", "s", word.replace("ph", "f").replace("ck", "k")).replace("c", "k")
    return re.sub(r"(.)\1+", r"\1", re.sub("oo+", "u", word))


def _consonants(word):
    return word[0] + re.sub(f"[{_VOWELS}]", "", sound(word)[1:])


def _misspellings(said):
    """What the word may be that was typed like this."""
    yield said
    for at, letter in enumerate(said):
        if letter in _VOWELS or at == len(said) - 1:  # one too many
            yield said[:at] + said[at + 1 :]
        for pair in _ALIKE:
            if letter in pair:
                yield said[:at] + pair.replace(letter, "") + said[at + 1 :]
        if letter in _VOWELS and any(before in _VOWELS for before in said[:at]):
            yield from (said[:at] + vowel + said[at + 1 :] for vowel in _VOWELS)
    for at in range(len(said) + 1):  # one left out
        yield from (said[:at] + vowel + said[at:] for vowel in _VOWELS)
    yield from (letter + said for letter in "bcdfghjklmnpqrstvwxz")
