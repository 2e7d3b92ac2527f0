"""Transparent pictures through what stands behind the nodes: each word that some ground shows is read."""

import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from text_layers.guard.picture import check
from text_layers.nodes.inputs import read_images
from text_layers.scoring.edit import change, measure
from text_layers.scoring.mask import mask_words
from text_layers.scoring.ocr import engine
from text_layers.scoring.words import find_words

pytestmark = pytest.mark.any_comfyui

BLACK, WHITE, GREY, CLEAR = (0, 0, 0, 255), (255, 255, 255, 255), (128, 128, 128, 255), (0, 0, 0, 0)


def written(ground, *words):
    """An IMAGE [1, 96, 320, 4]: words side by side, each with its ink, which may be clear, for a hole."""
    picture = Image.new("RGBA", (320, 96), ground)
    pen, font = ImageDraw.Draw(picture), ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", 36)
    for number, (word, ink) in enumerate(words):
        pen.text((20 + 150 * number, 28), word, ink, font)
    return torch.from_numpy(np.array(picture)).float()[None] / 255


def read(image):
    return read_images("image", image)[0]


@pytest.mark.parametrize(
    ("ground", "ink"),
    [(CLEAR, BLACK), (CLEAR, WHITE), (CLEAR, GREY), ((255, 255, 255, 0), WHITE), (WHITE, CLEAR), (BLACK, CLEAR), (WHITE, BLACK)],
)
def test_toxic_words_on_any_ground(ground, ink):
    picture = read(written(ground, ("FUCK", ink)))
    checked = check(picture, engine("RapidOCR"))
    assert checked.words == checked.toxic == ("FUCK",) and len(checked.toxic_boxes) == 1
    assert np.ptp(picture[checked.ground]) > 50, "the word is seen on the ground that is shown"
    mask = mask_words(picture, engine("RapidOCR"))
    letters = np.abs(picture.astype(int) - picture[:, :1, :1]).max((0, -1)) > 100
    assert mask[letters].mean() > 0.95 and mask.mean() < 0.4


def test_two_channels_are_grey_and_alpha():
    image = written(CLEAR, ("FUCK", BLACK))[..., [0, 3]]
    assert check(read(image), engine("RapidOCR")).toxic == ("FUCK",)


def test_other_words_in_one_place_on_each_ground_and_halves_of_one():
    """Light and dark are what one picture shows on white and on black."""
    on_white, on_black = (np.asarray(written(CLEAR, (word, ink))[0, ..., 3]) for word, ink in (("NICE", BLACK), ("FUCK", WHITE)))
    light, dark = 1 - on_white, on_black * (1 - on_white)
    alpha = 1 - (light - dark)
    both = np.stack([np.divide(dark, alpha, out=np.zeros_like(dark), where=alpha > 0)] * 3 + [alpha], -1)
    assert check(read(torch.from_numpy(both)[None]), engine("RapidOCR"), allow=("nice",)).toxic == ("FUCK",)
    halves = read(written(CLEAR, ("PEN", BLACK), ("IS", WHITE)))
    checked = check(halves, engine("RapidOCR"))
    assert checked.words == ("PEN", "IS") and len(checked.toxic_boxes) == 2
    assert [found.text for found in find_words(engine("RapidOCR"), halves)] == ["PEN", "IS"]


def test_pictures_that_differ_in_alpha_alone_differ():
    image = written(WHITE, ("CAFE", BLACK))
    other = image.clone()
    other[:, :8, :8, 3] = 0
    opaque, hole = read(image), read(other)
    found = measure(opaque, hole, "CAFE", engine("RapidOCR"))
    share = 64 / (96 * 320) / 2  # on white nothing changes, on black these pixels do
    assert found.whole["edited"]["mse"] == pytest.approx(share) and found.whole["edited"]["psnr"] == pytest.approx(-10 * np.log10(share))
    assert found.background["edited"]["mse"] > 0 and found.read == {"source": "CAFE", "edited": "CAFE"}
    where = change(opaque, hole, found.boxes)
    assert np.allclose(where[:8, :8], 0.5) and np.nanmax(where[8:]) == 0
    assert measure(hole, hole, "CAFE", engine("RapidOCR")).whole["edited"]["psnr"] == float("inf")
