"""In which order people read the texts of a picture.

lines           [Found] -> their lines, from top to bottom, each from left to right
in_order        the same in one list
text_of         what they say: spaces between the texts of a line, line breaks between lines

Boxes are (left, top, right, bottom).
"""


def lines(found):
    rows = []
    for one in sorted(found, key=lambda f: (f.box[1] + f.box[3], f.box[0])):
        row = next((row for row in rows if _belongs(one.box, [f.box for f in row])), None)
        if row is None:
            rows.append([one])
        else:
            row.append(one)
    rows.sort(key=lambda row: sum(f.box[1] + f.box[3] for f in row) / len(row))
    return [sorted(row, key=lambda f: (f.box[0], f.box[1])) for row in rows]


def in_order(found):
    return [one for row in lines(found) for one in row]


def text_of(found):
    return "\n".join(" ".join(one.text for one in row) for row in lines(found))


def _belongs(box, row):
    """Beside its nearest neighbour of the row, and above or below none of it."""
    nearest = min(row, key=lambda other: max(box[0] - other[2], other[0] - box[2]))
    beside = _shared(box, nearest, 1) > 0.5
    return beside and not any(_shared(box, other, 0) > 0.5 >= _shared(box, other, 1) for other in row)


def _shared(a, b, axis):
    """Of the smaller extent along the axis (0 across, 1 down), how much lies in the other."""
    common = min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])
    return common / max(1, min(a[axis + 2] - a[axis], b[axis + 2] - b[axis]))
