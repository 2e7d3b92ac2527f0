"""Words on large pictures: each once, whole, wherever it stands and however large it is."""

import itertools

import comfy.model_management
import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import find_objects, label
from text_layers.scoring.ocr import ENGINES, engine
from text_layers.scoring.tiles import _cuts, find_in_tiles

pytestmark = pytest.mark.any_comfyui


class Blocks:
    """Sees blocks as an engine sees words: those that are neither too small nor too large in what it is shown. What it reads is their
    colour, and nothing where it is shown a part of one."""

    tile, coarse, sure = 1152, 960, 0.5

    def __init__(self, words):
        self.words, self.looks = words, 0

    def detect(self, piece):
        self.looks += 1
        scale = min(1, self.coarse / max(piece.shape))
        for rows, columns in find_objects(label(piece > 0)[0]):
            if 8 <= (rows.stop - rows.start) * scale <= 400 and (columns.stop - columns.start) * scale >= 8:
                left, top, right, bottom = columns.start, rows.start, columns.stop, rows.stop
                yield [(left, top), (right, top), (right, bottom), (left, bottom)]

    def recognize(self, picture, corners):
        left, top, right, bottom = (int(side) for side in (*corners.min(0), *corners.max(0)))
        colours = np.unique(picture[top:bottom, left:right])
        return (corners, str(colours[0]), 1.0) if len(colours) == 1 else (corners, "", 0.0)


@pytest.mark.parametrize("shape", [(2048, 2048), (4096, 4096), (3072, 1500), (1200, 6000)])
def test_every_word_is_read_once_and_whole(shape):
    random = np.random.default_rng(sum(shape))
    picture, words = np.zeros(shape, np.uint8), {}
    for colour in range(1, 120):
        height = int(np.exp(random.uniform(np.log(16), np.log(min(shape) / 4))))
        width = min(int(height * random.uniform(1, 8)), shape[1] - 8)
        top, left = (int(random.integers(4, length - size - 3)) for length, size in zip(shape, (height, width), strict=True))
        if not picture[max(0, top - 40) : top + height + 40, max(0, left - 40) : left + width + 40].any():
            picture[top : top + height, left : left + width] = colour
            words[str(colour)] = (left, top, left + width, top + height)
    found = find_in_tiles(picture, Blocks(words), lambda: None)
    assert len(words) > 20 and sorted(text for _, text, _ in found) == sorted(words)
    for corners, text, _ in found:
        assert (*corners.min(0), *corners.max(0)) == words[text]


@pytest.mark.parametrize(("name", "width", "at"), [("RapidOCR", 2400, 690), ("EasyOCR", 2700, 1330)])
def test_small_words_on_large_pictures(name, width, at):
    """Where two pieces meet, and elsewhere; on white, where RapidOCR is worst."""
    picture = Image.new("RGB", (width, 160), "white")
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", 32)
    boxes = []
    for word, place in (("FUCK", (100, 110)), ("RESTAURANT", (at, 20))):
        ImageDraw.Draw(picture).text(place, word, "black", font)
        boxes.append(ImageDraw.Draw(picture).textbbox(place, word, font))
    found = engine(name).find(np.asarray(picture))
    assert [f.text for f in found] == ["RESTAURANT", "FUCK"]
    assert all(np.abs(np.subtract(f.box, box)).max() < 16 for f, box in zip(found, boxes[::-1], strict=True))


@pytest.mark.parametrize("name", ENGINES)
def test_an_interruption_stops_between_pieces(name):
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        engine(name).find(np.zeros((100, 3000, 3), np.uint8))


@pytest.mark.parametrize(
    ("length", "side"), [(100, 1152), (1152, 1152), (1153, 1152), (2144, 1152), (2145, 1152), (6000, 1500), (9999, 1152)]
)
def test_pieces_cover_a_side_with_an_overlap_and_are_as_few_as_can_be(length, side):
    cuts, overlap = _cuts(length, side), np.ceil(side * 160 / 1152)
    assert cuts[0][0] == 0 and cuts[-1][1] == length and all(0 < stop - start <= side for start, stop in cuts)
    assert all(before[1] - after[0] >= overlap - 1 for before, after in itertools.pairwise(cuts))  # rounded to whole pixels
    fewer = len(cuts) - 1
    assert not fewer or fewer * side - (fewer - 1) * overlap < length
