"""The table in the paper's layout, with intervals.

summarize    rows -> {method: {measure: {"mean", "interval"}}}
markdown     that -> a table
"""

import numpy as np

from ...scoring.intervals import interval
from ..markdown import table
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
