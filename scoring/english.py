"""English words and how frequent they are, from the list that wordninja brings (126,000 words of Wikipedia; MIT licence, 0.5 MB).

rank     word -> its place in the list, 0 the most frequent
apart    run-together words -> the words, or none
"""

import gzip
import math
from functools import lru_cache
from pathlib import Path

UNKNOWN = math.inf
_LONGEST = 24  # letters of one word
_COMMON = 40_000  # rarer ones are names and typing errors, of which anything can be made
_SHORT = frozenset((
    "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it", "me", "my", "no", "of", "on", "or", "so", "to", "up",
    "us", "we", "ya",
))  # fmt: skip
_MISSING = "wordninja, which knows English words, is not installed. Run in ComfyUI's Python: pip install wordninja"


@lru_cache(None)
def _ranks():
    try:
        import wordninja
    except ImportError:
        raise ImportError(_MISSING) from None
    with gzip.open(Path(wordninja.__file__).with_name("wordninja") / "wordninja_words.txt.gz", "rt", encoding="utf-8") as file:
        return {word: number for number, word in enumerate(file.read().split())}


def rank(word):
    return _ranks().get(word, UNKNOWN)


def apart(word, more=frozenset(), at=3_000):
    """The likeliest words that make up this one, [] where none do. more: words that count too, as if they were in place `at`."""
    costs, cuts = [0.0] + [UNKNOWN] * len(word), [0] * (len(word) + 1)
    for end in range(2, len(word) + 1):
        for start in range(max(0, end - _LONGEST), end - 1):
            cost = costs[start] + _cost(word[start:end], more, at)
            if cost < costs[end]:
                costs[end], cuts[end] = cost, start
    if costs[-1] == UNKNOWN:
        return []
    parts, end = [], len(word)
    while end:
        parts.append(word[cuts[end] : end])
        end = cuts[end]
    return parts[::-1]


def _cost(part, more, at):
    """Zipf's law: the more frequent, the likelier."""
    place = rank(part) if len(part) > 2 or part in _SHORT else UNKNOWN
    if place >= _COMMON:
        place = UNKNOWN
    if len(part) > 2 and part in more:
        place = min(place, at)
    return math.log((place + 1) * math.log(126_000)) if place < UNKNOWN else UNKNOWN
