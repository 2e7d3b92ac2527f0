"""Ranges of a text.

merged    overlapping ones made one
"""


def merged(spans):
    """spans: (start, end), in any order. Returns them from left to right, none of which overlap."""
    found = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
