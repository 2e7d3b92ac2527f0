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
    """What an engine has read, as it stood in pictures of benchmarks.guard.reading."""

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


class _OnGrounds:
    """What an engine reads of a picture on white and on black, in one place."""

    def __init__(self, white, black):
        self._texts = {255: white, 0: black}

    def find(self, picture, enlarge=1):
        return [Found(text, box, 0.9) for text, box in self._texts[int(picture[0, 0, 0])]]


def test_what_a_transparent_picture_shows_on_one_ground_alone_counts():
    """Where both grounds show something in one place, more is read on white; the word on black is toxic all the same."""
    place, below = (0, 0, 100, 30), (0, 40, 100, 70)
    picture = np.stack([np.full((80, 120, 3), ground, np.uint8) for ground in (255, 0)])
    found = check(picture, _OnGrounds([("HELLO ALL", place), ("you", below)], [("SHIT", place)]))
    assert found.toxic == ("SHIT",) and found.toxic_boxes == (place,) and found.ground == 0
    assert found.words == ("HELLO ALL", "SHIT", "you") or found.words == ("SHIT", "HELLO ALL", "you")
    clean = check(picture, _OnGrounds([("HELLO ALL", place)], [("HI", place)]))
    assert clean.toxic == clean.toxic_boxes == () and clean.words == ("HELLO ALL",)
    assert check(picture, _OnGrounds([("A", place)], [("SHIT", below)])).ground == 1
