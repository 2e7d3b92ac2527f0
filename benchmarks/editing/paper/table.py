"""The table in the paper's layout, with intervals.

summarize    rows -> {method: {measure: {"mean", "interval"}}}
outcome      rows -> {method: what a user would ask}
markdown     that -> a table
"""

import numpy as np

from ....scoring.compare import USUAL
from ....scoring.intervals import interval
from ...markdown import table
from .methods import METHODS

# The paper's columns, computed as the paper does, then what they leave out. Key in a row, heading, factor, digits.
COLUMNS = (
    (("whole", "mse"), "MSE ↓", 1, 4),
    (("whole", "paper_ssim"), "SSIM ↑", 1, 3),
    (("whole", "psnr"), "PSNR ↑", 1, 2),
    (("words", "f1"), "OCR F1 ↑", 100, 1),
    (("words", "paper_accuracy"), "OCR accuracy ↑", 100, 1),
    (("words", "agreement"), "sorted letters in place ↑", 100, 1),
    (("words", "similarity"), "Levenshtein similarity ↑", 100, 1),
    (("words", "exact"), "exact ↑", 100, 1),
    (("background", "psnr"), "background PSNR ↑", 1, 2),
    (("whole", "ssim"), "SSIM of 7 x 7 ↑", 1, 3),
    (("background", "ssim"), "background SSIM of 7 x 7 ↑", 1, 3),
    (("mse_in_8_bits",), "MSE as published", 1, 1),
)
_UNBOUNDED = ("psnr", "mse_in_8_bits")


def summarize(rows, methods, seed=0):
    """Means over the pairs with intervals of 95 %: of rates and of scores between two bounds by scoring.intervals, of the rest by 10,000
    draws of pairs; PSNR counts at most 100 dB."""
    rng = np.random.default_rng(seed)
    out = {}
    for method in methods:
        if METHODS[method].erases:
            continue
        found = [row for row in rows if row["method"] == method]
        out[method] = {}
        for path, *_ in COLUMNS:
            values = np.array([_value(row, path) for row in found], float)
            values = values[~np.isnan(values)]
            if path[-1] == "psnr":
                values = np.minimum(values, 100)
            if not len(values):  # none of the pictures is large enough for its windows
                continue
            if path[-1] in _UNBOUNDED:
                found_interval = np.quantile(rng.choice(values, (10000, len(values))).mean(1), (0.025, 0.975)).tolist()
            else:
                found_interval = list(interval(values, -1.0 if path[-1].endswith("ssim") else 0.0)[1:])
            out[method]["_".join(path)] = {"mean": float(values.mean()), "interval": found_interval}
    return out


def outcome(rows, methods):
    """{method: {"read", "readable", "pairs", "background_db", "background_ssim", "other_texts", "cost"}}; for methods that erase
    {"nothing_read", "pairs", "background_db", "cost"}.

    read, readable: how many pictures show the target's word, and how many of the target prompt by itself; None where that was not drawn.
    background_db: mean over the pairs, each counted as at most 100. cost: processor time as a multiple of the edit by text layers.
    other_texts: None, for these pictures have one text.
    """
    by = {method: [row for row in rows if row["method"] == method] for method in (*methods, "target")}
    readable = sum(map(_is_read, by["target"])) if by["target"] else None
    usual = np.mean([row["seconds"] for row in by["text_layers"]]) if by.get("text_layers") else np.nan
    out = {}
    for method in methods:
        found = by[method]
        near = [row["background"]["psnr"] for row in found if row["background"]["psnr"] is not None]
        cost = float(np.mean([row["seconds"] for row in found]) / usual)
        told = {"pairs": len(found), "background_db": float(np.minimum(near, 100).mean()), "cost": None if np.isnan(cost) else cost}
        if METHODS[method].erases:
            out[method] = {"nothing_read": sum(not row["read"]["edited"].strip() for row in found), **told}
        else:
            likeness = [row["background"]["ssim"] for row in found if row["background"]["ssim"] is not None]
            out[method] = {"read": sum(map(_is_read, found)), "readable": readable, **told,
                           "background_ssim": float(np.mean(likeness)), "other_texts": None}  # fmt: skip
    return out


def _is_read(row):
    return USUAL.same(row["read"]["edited"], row["target"])


def _value(row, path):
    for key in path:
        row = row[key]
    return np.nan if row is None else row


def markdown(summary, pairs):
    def cell(found, factor, digits):
        low, high = (value * factor for value in found["interval"])
        return f"{found['mean'] * factor:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    columns = [column for column in COLUMNS if all("_".join(column[0]) in found for found in summary.values())]
    head = [f"{pairs} pairs", *(heading for _, heading, *_ in columns)]
    rows = [
        [METHODS[method].title, *(cell(found["_".join(path)], factor, digits) for path, _, factor, digits in columns)]
        for method, found in summary.items()
    ]
    return table(head, rows)
