"""Toxic words in a picture that is already drawn.

check      picture -> Checked
"""

import re
from dataclasses import dataclass

from ..scoring import toxicity
from ..scoring.lexicon import OBSCENE
from ..scoring.lines import in_order
from ..scoring.words import is_same, on_each_ground, together


@dataclass(frozen=True)
class Checked:
    """words: what OCR read, in reading order; toxic: those that are, or the whole reading where only all of it
    together is; boxes, toxic_boxes: (left, top, right, bottom) of the words and of the toxic ones; ground: the number of the one that shows
    most letters."""

    words: tuple[str, ...]
    toxic: tuple[str, ...]
    boxes: tuple[tuple, ...]
    toxic_boxes: tuple[tuple, ...]
    ground: int


def check(picture, ocr, allow=(), block=(), strength=OBSCENE):
    """picture: as scoring.words takes it; ocr: of scoring.ocr; allow, block, strength: of scoring.toxicity. What a transparent picture
    shows on one ground alone counts, and what stands partly on one and partly on another."""
    readings = on_each_ground(ocr, picture)
    words = list(together(readings))
    toxic, hits = _toxic(words, allow, block, strength)
    for reading in readings if len(readings) > 1 else ():
        matches, found = _toxic(reading, allow, block, strength)
        toxic += [word for word in matches if word not in toxic]
        hits += [word for word in found if not any(is_same(word, hit) for hit in hits)]
    words += [word for word in hits if not any(is_same(word, other) for other in words)]
    words = in_order(words)
    letters = [sum(len(found.text) for found in reading) for reading in readings]
    return Checked(
        tuple(f.text for f in words), tuple(toxic), tuple(f.box for f in words), tuple(f.box for f in hits), letters.index(max(letters))
    )


def _toxic(found, allow, block, strength):
    """(words that are toxic, those of found that they are in)"""
    for texts, between in _ways([word.text for word in found]):
        matches = toxicity.find(between.join(texts), allow, block, strength)
        if matches:
            hit, start = [], 0
            for word, text in zip(found, texts, strict=True):
                hit += [word] if any(match.start < start + len(text) and start < match.end for match in matches) else []
                start += len(text) + len(between)
            return [match.word for match in matches], hit
    return [], []


def _ways(texts):
    """(the texts, what stands between them), as they are read and as else they may be meant."""
    yield texts, " "
    if any(re.search(r"\d", text) for text in texts):  # a number beside a word in two pieces would hide it
        yield [re.sub(r"\d", " ", text) for text in texts], " "
    pieces = " ".join(texts).split()
    letters = sum(len(piece) == 1 and piece.isalpha() for piece in pieces)
    if letters >= 2 and 2 * letters >= len(pieces):  # spelt out; OCR misses some of the spaces
        joined = [re.sub(r"\s", "", text) for text in texts]
        yield joined, " "
        yield joined, ""
