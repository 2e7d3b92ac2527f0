"""Masks of words, on pictures that a real OCR engine reads."""

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation
from text_layers.scoring.mask import mask_words
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui


def test_words_are_masked_and_as_many_pixels_around_them_as_asked():
    picture = Image.new("RGB", (240, 80), "white")
    ImageDraw.Draw(picture).text((30, 20), "HOTEL", "black", ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 40))
    picture, ocr = np.asarray(picture), engine("RapidOCR")
    plain = mask_words(picture, ocr)
    ink = picture[..., 0] < 128
    assert plain[ink].all() and plain.mean() < 0.6
    for grow in (1, 6):
        around = binary_dilation(plain, np.ones((2 * grow + 1, 2 * grow + 1)))
        assert np.array_equal(mask_words(picture, ocr, grow), around)
