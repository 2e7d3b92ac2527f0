"""What words a picture shows, on each ground that its transparent parts may show.

A picture is [H, W, 3] uint8, or [grounds, H, W, 3] (see image.on_grounds).

on_each_ground    the words of each ground by themselves
together          one list of these
share_a_place     whether two boxes are those of one word
is_same           whether two grounds show the same word
find_words        both
"""

import numpy as np

from .compare import USUAL
from .lines import in_order
from .ocr import enlargement


def on_each_ground(ocr, picture):
    """ocr: of scoring.ocr. A list of [Found], in reading order, for each ground that is not like one before it."""
    grounds = []
    for ground in picture.reshape(-1, *picture.shape[-3:]):
        if not any(np.array_equal(ground, other) for other in grounds):
            grounds.append(ground)
    return [ocr.find(ground, enlargement(len(ground))) for ground in grounds]


def together(readings):
    """[Found] in reading order; where grounds show words in one place, those of which more is read."""
    if len(readings) == 1:
        return readings[0]
    kept = []
    words = [(number, found) for number, reading in enumerate(readings) for found in reading]
    for number, found in sorted(words, key=lambda word: -len(word[1].text) * word[1].confidence):
        if not any(number != other and share_a_place(found.box, there.box) for other, there in kept):
            kept.append((number, found))
    return in_order([found for _, found in kept])


def find_words(ocr, picture):
    return together(on_each_ground(ocr, picture))


def is_same(a, b):
    return USUAL.same(a.text, b.text) and share_a_place(a.box, b.box)


def share_a_place(a, b):
    """Whether the smaller box lies for the most part in the other. (left, top, right, bottom)"""
    across, down = (min(a[side + 2], b[side + 2]) - max(a[side], b[side]) for side in (0, 1))
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return across > 0 and down > 0 and 2 * across * down > smaller
