"""How much two pictures differ."""

import numpy as np


def psnr(a, b, outside=()):
    """Peak signal-to-noise ratio in dB of two uint8 pictures [H, W, 3], computed in float.

    outside: boxes (left, top, right, bottom) that do not count. Infinite for equal pictures.
    """
    counts = np.ones(a.shape[:2], bool)
    for left, top, right, bottom in outside:
        counts[top:bottom, left:right] = False
    error = np.square(a.astype(np.float64) - b.astype(np.float64))[counts].mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
