"""Words on pictures that are larger than what a text detector sees well: it looks at pieces of them as well as at the whole.

find_in_tiles    what an engine finds on a large picture

The whole, scaled down, has the large words. Pieces overlap by more than the height of the smallest word that counts there; a word that they
cut is joined again and read as one, from the picture itself.
"""

import math

import numpy as np

_OVERLAP = 160 / 1152  # of a piece's side: a word that is small for the whole is not as high
_LEGIBLE = 24  # pixels in what the detector sees; smaller words are left to the pieces
_TALL = 3  # times what the coarser pieces take: of taller words only parts are seen
_FINER = 4  # from one size of pieces to the next; more would leave words that are too small for the one and too large for the other


def find_in_tiles(picture, engine, tell):
    """[(corners [4, 2], text, confidence)]. picture: [H, W, 3]; engine: has `tile`, the side of the pieces that it sees well, `coarse`, to
    which it scales larger ones, `sure`, the confidence from which a large word's place is settled, detect(picture) -> [corners] and
    recognize(picture, corners) -> (corners as they are read, text, confidence), no text
    for what does not count. tell() is called before each piece."""
    height, width = picture.shape[:2]
    side, found, tallest = max(height, width), [], math.inf
    while True:
        finest = side <= engine.tile
        pieces = [(rows, columns) for rows in _cuts(height, side) for columns in _cuts(width, side)]
        boxes = []
        for number, ((top, bottom), (left, right)) in enumerate(pieces):
            tell()
            boxes += [(number, np.asarray(box, float) + (left, top)) for box in engine.detect(picture[top:bottom, left:right])]
        larger = [corners for corners, _, _ in found]
        smallest = 0 if finest else _LEGIBLE * side / engine.coarse
        for box in _joined(boxes):
            if smallest <= _height(box) < tallest and not any(_lies_in(box, other) for other in larger):
                corners, text, confidence = engine.recognize(picture, box)
                if text and (finest or confidence >= engine.sure):
                    found.append((corners, text, confidence))
        if finest:
            return found
        tallest = _TALL * smallest
        side = max(engine.tile, math.ceil(side / _FINER))


def _cuts(length, side):
    """[(start, end)] of equal pieces, no longer than side and overlapping, that cover the length."""
    if length <= side:
        return [(0, length)]
    overlap = math.ceil(side * _OVERLAP)
    count = math.ceil((length - overlap) / (side - overlap))
    piece = math.ceil((length + (count - 1) * overlap) / count)
    return [(start, start + piece) for start in np.linspace(0, length - piece, count).round().astype(int).tolist()]


def _joined(boxes):
    """boxes: [(number of the piece, corners)]. Those of different pieces that are of one line become one."""
    lines = []
    for number, box in boxes:
        line, rest = [(number, box)], []
        for other in lines:
            if any(n != number and _are_of_one_line(box, b) for n, b in other):
                line += other
            else:
                rest.append(other)
        lines = [*rest, line]
    return [line[0][1] if len(line) == 1 else _around([box for _, box in line]) for line in lines]


def _are_of_one_line(a, b):
    (across, down), smaller = _common(a, b), min(_height(a), _height(b))
    return across > 0 and down > smaller / 2


def _lies_in(box, other):
    across, down = _common(box, other)
    width, height = np.ptp(box, 0)
    return across > 0 and down > 0 and 2 * across * down > width * height


def _common(a, b):
    return np.minimum(a.max(0), b.max(0)) - np.maximum(a.min(0), b.min(0))


def _height(box):
    return min(np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[0] - box[3]))


def is_upright(box):
    return bool(np.ptp(box[[0, 1], 1]) == np.ptp(box[[2, 3], 1]) == np.ptp(box[[0, 3], 0]) == np.ptp(box[[1, 2], 0]) == 0)


def _around(boxes):
    """Corners of the smallest rectangle around all, from the upper left one clockwise; upright where all are."""
    points = np.concatenate(boxes)
    if all(map(is_upright, boxes)):
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    import cv2

    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32)))
    upper_left = corners.sum(1).argmin()
    corners = np.roll(corners, -upper_left, 0)
    return corners if corners[1, 0] - corners[1, 1] > corners[3, 0] - corners[3, 1] else corners[[0, 3, 2, 1]]
