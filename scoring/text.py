"""How near a reading is to the wanted word: the paper's measures over characters, and the usual ones over their order.

precision, recall, f1    over multisets of characters (the paper's)
paper_accuracy           1 where both texts have the same characters, else 0 (the paper's OCR accuracy)
agreement                share of places that agree once both texts' characters are sorted
distance                 Levenshtein distance
similarity               1 - distance / length of the longer text
exact                    the same text

All take (read, wanted). The paper's measures do not see the order of letters: LISTEN is SILENT to them.
"""

from collections import Counter


def _common(read, wanted):
    return (Counter(read) & Counter(wanted)).total()


def precision(read, wanted):
    """Share of the read characters that are wanted; 0 when nothing is read, unless nothing is wanted."""
    return _common(read, wanted) / len(read) if read else float(not wanted)


def recall(read, wanted):
    """Share of the wanted characters that are read; 1 when nothing is wanted."""
    return _common(read, wanted) / len(wanted) if wanted else 1.0


def f1(read, wanted):
    """Harmonic mean of precision and recall, 0 to 1."""
    p, r = precision(read, wanted), recall(read, wanted)
    return 2 * p * r / (p + r) if p + r else 0.0


def paper_accuracy(read, wanted):
    """1.0 where the two sorted texts are equal, otherwise 0.0."""
    return float(sorted(read) == sorted(wanted))


def agreement(read, wanted):
    """Equal characters at equal places of the two sorted texts, over the length of the longer one."""
    longest = max(len(read), len(wanted))
    return sum(a == b for a, b in zip(sorted(read), sorted(wanted), strict=False)) / longest if longest else 1.0


def distance(read, wanted):
    """Insertions, deletions and replacements of one character that turn one text into the other."""
    row = list(range(len(wanted) + 1))
    for i, a in enumerate(read, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def similarity(read, wanted):
    """0 (nothing agrees) to 1 (the same)."""
    longest = max(len(read), len(wanted))
    return 1 - distance(read, wanted) / longest if longest else 1.0


def exact(read, wanted):
    return read == wanted
