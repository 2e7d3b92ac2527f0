"""Where a picture has words.

mask_words    picture -> mask
"""

from .image import inside
from .ocr import enlargement


def mask_words(picture, ocr, grow=0):
    """picture: [H, W, 3] uint8; ocr: of scoring.ocr; grow: pixels around each box. Returns [H, W] bool."""
    return inside(picture.shape, [found.box for found in ocr.find(picture, enlargement(len(picture)))], grow)
