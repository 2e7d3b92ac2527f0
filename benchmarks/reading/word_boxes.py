"""Where a picture's words are, with room for others.

widened    a mask of words, wider where the new ones are longer
"""


def widened(mask, source, target):
    """mask: [H, W] bool as scoring.mask gives it, which is changed; source, target: the old and the new words."""
    columns = mask.any(0).nonzero()[0]
    if len(columns):
        spare = round(len(columns) * max(0, len(target) / len(source) - 1) / 2)
        mask[mask.any(1), max(0, columns[0] - spare) : columns[-1] + 1 + spare] = True
    return mask
