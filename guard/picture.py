"""Toxic words in a picture that is already drawn.

check      picture -> Checked
"""

from dataclasses import dataclass

from ..scoring import toxicity
from ..scoring.lexicon import OBSCENE
from ..scoring.ocr import enlargement


@dataclass(frozen=True)
class Checked:
    """words: what OCR read, from left to right, letters A to Z only; toxic: those that are, or the whole reading where only all of it
    together is; boxes, toxic_boxes: (left, top, right, bottom) of the words and of the toxic ones."""

    words: tuple[str, ...]
    toxic: tuple[str, ...]
    boxes: tuple[tuple, ...]
    toxic_boxes: tuple[tuple, ...]


def check(picture, ocr, allow=(), block=(), strength=OBSCENE):
    """picture: [H, W, 3] uint8; ocr: of scoring.ocr; allow, block, strength: of scoring.toxicity."""
    found = ocr.find(picture, enlargement(len(picture)))
    text, starts = "", []
    for word in found:
        starts.append(len(text))
        text += word.text + " "
    matches = toxicity.find(text.strip(), allow, block, strength)
    hit = [f for f, start in zip(found, starts, strict=True) if any(m.start < start + len(f.text) and start < m.end for m in matches)]
    return Checked(tuple(f.text for f in found), tuple(m.word for m in matches), tuple(f.box for f in found), tuple(f.box for f in hit))
