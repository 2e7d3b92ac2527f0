"""The table in the paper's layout, with intervals.

summarize    rows -> {method: {measure: {"mean", "interval"}}}
markdown     that -> a table
"""

import numpy as np

from ..markdown import table
from .methods import METHODS

# The paper's columns, then what they leave out. Key in a row, heading, factor, digits.
COLUMNS = (
    (("whole", "mse"), "MSE ↓", 1, 4),
    (("whole", "ssim"), "SSIM ↑", 1, 3),
    (("whole", "psnr"), "PSNR ↑", 1, 2),
    (("words", "f1"), "OCR F1 ↑", 100, 1),
    (("words", "accuracy"), "OCR accuracy ↑", 100, 1),
    (("words", "similarity"), "Levenshtein similarity ↑", 100, 1),
    (("words", "exact"), "exact ↑", 100, 1),
    (("background", "psnr"), "background PSNR ↑", 1, 2),
    (("background", "ssim"), "background SSIM ↑", 1, 3),
    (("mse_in_8_bits",), "MSE as published", 1, 1),
)


def summarize(rows, methods, seed=0):
    """Means over the pairs with bootstrap intervals of 95 % (10,000 draws of pairs); PSNR counts at most 100 dB."""
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
            means = rng.choice(values, (10000, len(values))).mean(1)
            out[method]["_".join(path)] = {"mean": float(values.mean()), "interval": np.quantile(means, (0.025, 0.975)).tolist()}
    return out


def _value(row, path):
    for key in path:
        row = row[key]
    return np.nan if row is None else row


def markdown(summary, pairs):
    def cell(found, factor, digits):
        low, high = (value * factor for value in found["interval"])
        return f"{found['mean'] * factor:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    head = [f"{pairs} pairs", *(heading for _, heading, *_ in COLUMNS)]
    rows = [
        [METHODS[method].title, *(cell(found["_".join(path)], factor, digits) for path, _, factor, digits in COLUMNS)]
        for method, found in summary.items()
    ]
    return table(head, rows)
