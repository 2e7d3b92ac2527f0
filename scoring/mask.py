"""Where a picture has words.

mask_words    picture -> mask
"""

from .image import inside
from .words import on_each_ground


def mask_words(picture, ocr, grow=0):
    """picture: as scoring.words takes it; ocr: of scoring.ocr; grow: pixels around each box. Returns [H, W] bool."""
    return inside(picture.shape[-3:], [found.box for reading in on_each_ground(ocr, picture) for found in reading], grow)
