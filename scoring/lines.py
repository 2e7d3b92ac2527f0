"""In which order people read the texts of a picture.

lines           [Found] -> their lines, from top to bottom, each from left to right
in_order        the same in one list
text_of         what they say: spaces between the texts of a line, line breaks between lines

Texts that tilt alike are a block, whose lines are found as if it stood level; so are those on end and those upside down.
"""

import math

_LEVEL = 5  # degrees; texts that tilt less are ordered by their boxes
_ALIKE = 10  # degrees between two texts of one block
_SURE = 1.5  # times as long as high; where a shorter text looks is taken from its neighbour


def lines(found):
    blocks = sorted(_blocks(found), key=lambda block: min((one.box[1], one.box[0]) for one in block[1]))
    return [row for tilt, block in blocks for row in _rows(block, tilt)]


def in_order(found):
    return [one for row in lines(found) for one in row]


def text_of(found):
    return "\n".join(" ".join(one.text for one in row) for row in lines(found))


def _blocks(found):
    """[(tilt in degrees, [Found])]"""
    sure = sorted((one for one in found if _is_sure(one)), key=_tilt)
    if not sure:
        return [(0, found)] if found else []
    blocks = [[sure[0]]]
    for one in sure[1:]:
        if _tilt(one) - _tilt(blocks[-1][-1]) > _ALIKE:
            blocks.append([])
        blocks[-1].append(one)
    if len(blocks) > 1 and _tilt(sure[0]) + 360 - _tilt(sure[-1]) <= _ALIKE:  # both are upside down
        blocks[0] += blocks.pop()
    for one in found:
        if not _is_sure(one):
            nearest = min(sure, key=lambda other: math.dist(_centre(one), _centre(other)))
            next(block for block in blocks if any(other is nearest for other in block)).append(one)
    tilts = [_tilt(max(filter(_is_sure, block), key=_length)) for block in blocks]
    return [(tilt if abs(tilt) >= _LEVEL else 0, block) for tilt, block in zip(tilts, blocks, strict=True)]


def _rows(found, tilt):
    placed = [(_levelled(one, tilt), one) for one in found]
    rows = []
    for box, one in sorted(placed, key=lambda place: (place[0][1] + place[0][3], place[0][0])):
        row = next((row for row in rows if _belongs(box, [other for other, _ in row])), None)
        if row is None:
            rows.append([(box, one)])
        else:
            row.append((box, one))
    return [[one for _, one in sorted(row, key=lambda place: place[0][:2])] for row in rows]


def _levelled(one, tilt):
    """The box (left, top, right, bottom) that its corners have where the whole picture is turned back by the tilt."""
    if not tilt or one.corners is None:
        return one.box
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    across = [x * cos + y * sin for x, y in one.corners]
    down = [y * cos - x * sin for x, y in one.corners]
    return min(across), min(down), max(across), max(down)


def _tilt(one):
    """Degrees from -180 to 180, 90 where the text runs down."""
    if one.corners is None:
        return 0.0
    (left, top), (right, bottom) = one.corners[:2]
    return math.degrees(math.atan2(bottom - top, right - left))


def _is_sure(one):
    return one.corners is None or _length(one) >= _SURE * math.dist(one.corners[1], one.corners[2])


def _length(one):
    return one.box[2] - one.box[0] if one.corners is None else math.dist(*one.corners[:2])


def _centre(one):
    left, top, right, bottom = one.box
    return (left + right) / 2, (top + bottom) / 2


def _belongs(box, row):
    """Beside its nearest neighbour of the row, and above or below none of it."""
    nearest = min(row, key=lambda other: max(box[0] - other[2], other[0] - box[2]))
    beside = _shared(box, nearest, 1) > 0.5
    return beside and not any(_shared(box, other, 0) > 0.5 >= _shared(box, other, 1) for other in row)


def _shared(a, b, axis):
    """Of the smaller extent along the axis (0 across, 1 down), how much lies in the other."""
    common = min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])
    return common / max(1, min(a[axis + 2] - a[axis], b[axis + 2] - b[axis]))
