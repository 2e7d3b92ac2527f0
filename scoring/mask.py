"""Where a picture has words.

mask_words    picture -> mask
"""

import numpy as np

from .ocr import enlargement


def mask_words(picture, ocr, grow=0):
    """picture: [H, W, 3] uint8; ocr: of scoring.ocr; grow: pixels around each box. Returns [H, W] bool."""
    mask = np.zeros(picture.shape[:2], bool)
    for found in ocr.find(picture, enlargement(len(picture))):
        left, top, right, bottom = found.box
        mask[max(0, top - grow) : bottom + grow, max(0, left - grow) : right + grow] = True
    return mask
