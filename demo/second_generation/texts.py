"""What stands on the boards in training: English words, and random characters, which are what makes unseen words work.

Stage         which texts a part of the training draws
STAGES        the curriculum's, by name
random_text   draws one
held_out      words that are never drawn
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .boards import CAPITALS, DIGITS, KINDS, MARKS, SLOTS, SMALL

WORDS = Path(__file__).parent.parent / "words"


@dataclass(frozen=True)
class Stage:
    """characters: of the random texts; cases: how words are written; full: share of texts that fill all slots of a line, so that no
    slot is empty before the model knows which character stands where; empty: share of boards without a word; two: with two lines;
    kinds: of signs."""

    characters: str
    cases: tuple = (str.upper,)
    full: float = 0.0
    empty: float = 0.0
    two: float = 0.0
    kinds: tuple = ("metal", "wooden", "chalk")


STAGES = {
    "full": Stage(CAPITALS, full=1.0),
    "capitals": Stage(CAPITALS, full=0.25, empty=0.03),
    "letters": Stage(CAPITALS + SMALL, (str.upper, str.lower, str.capitalize), full=0.15, empty=0.05),
    "digits": Stage(CAPITALS + SMALL + DIGITS + MARKS, (str.upper, str.lower, str.capitalize), full=0.15, empty=0.05),
    "all": Stage(CAPITALS + SMALL + DIGITS + MARKS, (str.upper, str.lower, str.capitalize), full=0.1, empty=0.07, two=0.3, kinds=KINDS),
}


@lru_cache(None)
def held_out():
    """In capitals."""
    return tuple((WORDS / "held_out.txt").read_text().split())


@lru_cache(None)
def _train():
    words = (WORDS / "train.txt").read_text().split()
    return {n: [w for w in words if len(w) == n] for n in {len(w) for w in words}}


@lru_cache(None)
def _lengths():
    return np.array(sorted(_train()))


def random_text(rng, stage):
    """One or two lines, or "" for a board without a word."""
    if rng.random() < stage.empty:
        return ""
    lines = [_line(rng, stage) for _ in range(2 if rng.random() < stage.two else 1)]
    return "\n".join(lines)


def _line(rng, stage):
    if rng.random() < stage.full:
        return "".join(rng.choice(list(stage.characters), SLOTS))
    case = stage.cases[rng.integers(len(stage.cases))]
    if rng.random() < 0.5:
        words = _train()[rng.choice(_lengths())]
        return case(words[rng.integers(len(words))])
    while True:
        text = "".join(rng.choice(list(stage.characters), rng.integers(1, SLOTS + 1)))
        if text.upper() not in held_out():
            return text
