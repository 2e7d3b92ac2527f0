"""The synthetic training set: what its captions say is what its pictures show."""

import numpy as np
import pytest
from text_layers.demo import signs
from text_layers.demo.text_set import text_set
from text_layers.scoring.compare import capitals
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui
WORDS = ["CAFE", "HOTEL", "JAZZ", "BOX"]


def shown(picture):
    """The prompt that a picture deserves, measured from its pixels."""
    wall, sign = signs.read_colours(picture)
    return signs.Sign(capitals(engine("RapidOCR").read(picture, 4)), sign, wall, signs.read_shape(picture)).prompt()


def test_captions_say_what_is_drawn():
    pictures, captions = text_set(WORDS, 40, seed=2)
    assert pictures.shape == (40, signs.HEIGHT, signs.WIDTH, 3)
    assert sum(shown(picture) == caption for picture, caption in zip(pictures, captions, strict=True)) >= 38  # one of fifty is misread
    assert len(set(captions)) > 30


def test_one_kind_of_sign_and_captions_of_the_word_alone():
    pictures, captions = text_set(["BOX"], 10, seed=2, sign="white", wall="blue", shape="oval", describe=False)
    assert captions == ['a sign that says "BOX"'] * 10
    assert all(signs.read_colours(p) == ("blue", "white") and signs.read_shape(p) == "oval" for p in pictures)


def test_lettering_changes_the_letters_alone():
    plain, white, bold = (
        text_set(WORDS, 8, 3, lettering=signs.Lettering(**how))[0].astype(int)
        for how in ({}, {"ink": (255, 255, 255)}, {"face": "bold oblique"})
    )
    for other in (white, bold):
        changed = np.abs(other - plain).max(-1) > 0
        _, top, _, bottom = signs.text_box("A" * signs.SLOTS)
        assert changed.any((1, 2)).all() and not changed[:, :top].any() and not changed[:, bottom:].any()
    assert (white >= plain).all()


@pytest.mark.parametrize(
    ("words", "others", "message"),
    [([], {}, "no words"), (["RESTAURANT"], {}, "1 to 6 letters"), (["BOX"], {"sign": "red", "wall": "red"}, "both red")],
)
def test_what_cannot_be_drawn_is_an_error(words, others, message):
    with pytest.raises(ValueError, match=message):
        text_set(words, 1, 0, **others)


def test_a_large_set_can_be_stopped():
    def each(items):
        for number, item in enumerate(items):
            if number == 3:
                raise InterruptedError
            yield item

    with pytest.raises(InterruptedError):
        text_set(WORDS, 100, 0, each=each)
