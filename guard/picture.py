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
    text, starts = "", []
    for word in found:
        starts.append(len(text))
        text += word.text + " "
    matches = toxicity.find(text.strip(), allow, block, strength)
    if not matches:  # a word in two pieces, which a number beside it would hide
        blank = re.sub(r"\d", " ", text)
        matches = toxicity.find(blank, allow, block, strength) if blank != text else []
    hit = [f for f, start in zip(found, starts, strict=True) if any(m.start < start + len(f.text) and start < m.end for m in matches)]
    return [match.word for match in matches], hit
