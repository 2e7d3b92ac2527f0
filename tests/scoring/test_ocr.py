"""Both engines read real pictures."""

import sys

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from text_layers.demo import signs
from text_layers.scoring import ocr
from text_layers.scoring.compare import Folding
from text_layers.scoring.ocr import ENGINES, EasyOcr, RapidOcr, check, engine, enlargement

pytestmark = pytest.mark.any_comfyui

STRICT = Folding(case=False, accents=False, punctuation=False, spaces=True)  # engines see spaces where there are none


def written(words, size=40):
    """Words side by side in black on white, and where they stand."""
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
    picture = Image.new("RGB", (300 * len(words), 120), "white")
    boxes = []
    for number, word in enumerate(words):
        at = (300 * number + 40, 40)
        ImageDraw.Draw(picture).text(at, word, "black", font)
        boxes.append(ImageDraw.Draw(picture).textbbox(at, word, font))
    return np.asarray(picture), boxes


@pytest.mark.parametrize("name", ENGINES)
def test_words_and_their_boxes_from_left_to_right(name):
    picture, boxes = written(["HOTEL", "CAFE"])
    assert engine(name).read(picture) == "HOTEL CAFE"
    found = engine(name).find(picture)
    assert [f.text for f in found] == ["HOTEL", "CAFE"]
    for f, box in zip(found, boxes, strict=True):
        assert np.abs(np.subtract(f.box, box)).max() < 16  # both leave a margin of up to half a letter's height
        assert 0.5 < f.confidence <= 1


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("text", ["hello", "coffee", "Quality", "Open daily", "Route 66", "2024", "50% OFF", "24/7", "ICE\nCREAM"])
def test_text_is_read_as_it_stands(name, text):
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 40)
    picture = Image.new("RGB", (360, 160), "white")
    ImageDraw.Draw(picture).text((180, 80), text, "black", font, "mm", align="center")
    assert STRICT.folded(engine(name).read(np.asarray(picture))) == STRICT.folded(text)


@pytest.mark.parametrize(("name", "text", "unknown", "way"), [
    ("EasyOCR", "Café", "é", "Choose RapidOCR"), ("EasyOCR", "咖啡", "咖 啡", "Choose RapidOCR"),
    ("RapidOCR", "КОФЕ", "Е К О Ф", "Choose the language Cyrillic letters"), ("EasyOCR", "카페", "카 페", "Choose the language Korean"),
    ("RapidOCR", "مقهى", "ق م ه ى", "Take a text"), ("EasyOCR", "Кé", "é К", "Take a text"),
    ("EasyOCR", "Straße", "ß", "Choose RapidOCR"), ("EasyOCR", "ＣＡＦＥ ﬁne", None, None),
    ("RapidOCR", "Café 咖啡 カフェ", None, None), ("EasyOCR", "Open, 24/7: € 5.99!", None, None),
])  # fmt: skip
def test_characters_that_an_engine_does_not_read(name, text, unknown, way):
    if unknown is None:
        return check(engine(name), "the word", text)
    with pytest.raises(ValueError, match=f'{name} does not read {unknown}, which the word "{text}" has. {way}'):
        check(engine(name), "the word", text)


@pytest.mark.parametrize("name", ENGINES)
def test_boxes_of_enlarged_pictures_are_in_the_pictures_own_pixels(name):
    picture, boxes = written(["HOTEL"])
    small = np.asarray(Image.fromarray(picture).resize((picture.shape[1] // 4, picture.shape[0] // 4), Image.LANCZOS))
    (found,) = engine(name).find(small, enlarge=4)
    assert found.text == "HOTEL"
    assert np.abs(np.subtract(found.box, np.array(boxes[0]) / 4)).max() < 6  # as above, and a pixel of rounding


@pytest.mark.parametrize("name", ENGINES)
def test_nothing_is_read_where_nothing_is_written(name):
    blank = np.full((64, 128, 3), 200, np.uint8)
    assert engine(name).read(blank) == "" and engine(name).find(blank) == []


@pytest.mark.parametrize("kind, module", [(EasyOcr, "easyocr"), (RapidOcr, "rapidocr")])
def test_a_missing_package_is_one_clear_sentence(kind, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"is not installed. Run in ComfyUI's Python: pip install {module}"):
        kind()


def test_what_is_refused_where_the_other_engine_is_missing(monkeypatch):
    reader = engine("EasyOCR")
    monkeypatch.setattr(ocr, "engine", lambda name: RapidOcr())
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(ValueError, match=r"does not read é, .* Take a text without them"):
        check(reader, "the word", "café")


@pytest.mark.parametrize("kind", ENGINES)
def test_strips_are_read_as_well(kind):
    for shape in ((1, 1), (1, 3000), (3000, 1), (3, 5000)):
        assert engine(kind).find(np.full((*shape, 3), 255, np.uint8), enlargement(shape[0])) == []
    sign = signs.draw([signs.Sign("CAFE", "white", "blue", "square")], np.random.default_rng(3))[0]
    strip = np.concatenate([sign, np.full((32, 3000, 3), sign[0, -1])], 1)
    (found,) = engine(kind).find(strip, enlargement(32))
    assert found.text == "CAFE" and found.box[2] <= 64 + 16  # RapidOCR sees the strip at a third of its size


def turned(text, degrees, size=40):
    """Black on white, turned clockwise about the middle."""
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", size)
    picture = Image.new("RGB", (420, 420), "white")
    ImageDraw.Draw(picture).text((210, 210), text, "black", font, "mm", align="center")
    return np.asarray(picture.rotate(-degrees, Image.BICUBIC, fillcolor="white"))


@pytest.mark.parametrize("degrees", [-90, -30, -12, 12, 30, 90, 180])
def test_lines_that_are_tilted_on_end_or_upside_down(degrees):
    read = engine("RapidOCR").read(turned("Fresh bread\nevery day\nexcept Monday", degrees))
    assert STRICT.folded(read) == "FreshbreadeverydayexceptMonday"


@pytest.mark.parametrize("degrees", [-20, 12, 20])
def test_easyocr_reads_tilted_lines_in_their_order(degrees):
    assert engine("EasyOCR").read(turned("HOTEL\nCAFE", degrees)).split() == ["HOTEL", "CAFE"]


def test_a_letter_alone_is_not_turned():
    assert [engine("RapidOCR").read(turned(letter, 0, 120)) for letter in ("H", "A", "N", "Z", "7")] == ["H", "A", "N", "Z", "7"]
