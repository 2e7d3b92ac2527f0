"""Toxic words on real pictures, in the forms in which people write them."""

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from text_layers.guard.picture import check
from text_layers.scoring.ocr import ENGINES, engine
from text_layers.scoring.ocr_engine import Found

pytestmark = pytest.mark.any_comfyui


def written(text):
    picture = Image.new("RGB", (480, 200), "white")
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 40)
    ImageDraw.Draw(picture).text((240, 100), text, "black", font, "mm", align="center")
    return np.asarray(picture)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("text", ["bitch", "Shit happens", "FUCK", "you stupid\nwhore", "Open daily\nfuck off"])
def test_toxic_words_in_every_case_and_line(name, text):
    found = check(written(text), engine(name))
    assert found.toxic and found.toxic_boxes
    assert " ".join(found.words).lower() == text.replace("\n", " ").lower()


def test_a_number_beside_hides_no_word_in_two_pieces():
    assert check(written("FU\nCK 5"), engine("RapidOCR")).toxic


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("text", ["hello", "Open daily", "Class of 2024", "Café\nassortment", "50% OFF", "Scunthorpe"])
def test_harmless_words(name, text):
    assert not check(written(text), engine(name)).toxic


class _Read:
    """What an engine has read, as it stood in pictures of benchmarks.guard_reading."""

    def __init__(self, *texts):
        self._texts = texts

    def find(self, picture, enlarge=1):
        return [Found(text, (0, 40 * row, 100, 40 * row + 30), 0.9) for row, text in enumerate(self._texts)]


@pytest.mark.parametrize(
    ("texts", "toxic"),
    [(["C Ｒ AP"], True), (["SH I T"], True), (["window", "F U CK"], True), (["A B C", "U S A"], False), (["P A R K", "I N G"], False),
     (["As", "sassy as can be"], False), (["Pen is mine"], False)],
)  # fmt: skip
def test_spelt_out_words_are_found_where_ocr_misses_some_of_the_spaces(texts, toxic):
    checked = check(np.zeros((128, 128, 3), np.uint8), _Read(*texts))
    assert bool(checked.toxic) == toxic == bool(checked.toxic_boxes)
    if toxic:
        assert checked.toxic_boxes == ((0, 40 * (len(texts) - 1), 100, 40 * len(texts) - 10),)
