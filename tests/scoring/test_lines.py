"""Texts in the order in which people read them."""

import math

import pytest
from text_layers.scoring.lines import text_of
from text_layers.scoring.ocr_engine import Found

pytestmark = pytest.mark.any_comfyui


@pytest.mark.parametrize(
    ("boxes", "text"),
    [
        ({"ICE": (40, 0, 100, 30), "CREAM": (10, 40, 130, 70)}, "ICE\nCREAM"),  # the lower one begins further left
        ({"OPEN": (0, 0, 80, 30), "DAILY": (90, 4, 200, 34)}, "OPEN DAILY"),
        ({"A": (0, 0, 40, 30), "B": (50, 12, 90, 42), "C": (100, 24, 140, 54)}, "A B C"),  # a line that falls
        ({"50%": (0, 0, 100, 80), "OFF": (110, 0, 200, 35), "NOW": (110, 42, 200, 78)}, "50% OFF\nNOW"),  # a tall one beside two lines
        ({"C": (0, 60, 30, 90), "B": (40, 0, 70, 30), "A": (0, 0, 30, 30), "D": (40, 60, 70, 90)}, "A B\nC D"),
        ({"UP": (0, 0, 80, 30), "LOW": (0, 26, 80, 56)}, "UP\nLOW"),  # boxes of two lines touch
        ({"I": (0, 0, 10, 30), "LOVE": (4, 0, 100, 30)}, "I LOVE"),  # boxes overlap, as those of sloping letters do
        ({}, ""),
    ],
)
def test_reading_order(boxes, text):
    for found in (list(boxes.items()), list(boxes.items())[::-1]):
        for x, y in ((0, 0), (300, 200)):  # wherever in the picture
            moved = [(word, (box[0] + x, box[1] + y, box[2] + x, box[3] + y)) for word, box in found]
            assert text_of([Found(word, box, 1.0) for word, box in moved]) == text


def turned(words, degrees, about=(200, 100)):
    """Found of words that stand in boxes before the whole is turned, clockwise as the picture is seen; the outer box alone says little."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    found = []
    for word, (left, top, right, bottom) in words.items():
        level = [(x - about[0], y - about[1]) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
        corners = tuple((about[0] + x * cos - y * sin, about[1] + x * sin + y * cos) for x, y in level)
        across, down = zip(*corners, strict=True)
        box = (math.floor(min(across)), math.floor(min(down)), math.ceil(max(across)), math.ceil(max(down)))
        found.append(Found(word, box, 1.0, corners))
    return found


SIGN = {"OPEN": (40, 0, 120, 30), "DAILY": (130, 0, 240, 30), "9": (60, 40, 80, 70), "TO": (90, 40, 140, 70), "17": (150, 40, 190, 70),
        "SUNDAYS": (0, 80, 150, 110), "TOO": (160, 80, 260, 110)}  # fmt: skip


@pytest.mark.parametrize("degrees", [-180, -170, -90, -60, -45, -30, -12, -4, 4, 12, 20, 45, 60, 90, 135, 170])
def test_a_tilted_sign_is_read_as_if_it_stood_level(degrees):
    found = turned(SIGN, degrees)
    for order in (found, found[::-1], sorted(found, key=lambda f: f.text)):
        assert text_of(order) == "OPEN DAILY\n9 TO 17\nSUNDAYS TOO"


def test_words_twice_as_long_as_high_say_how_they_tilt():
    found = turned({"AB": (0, 0, 60, 30), "CD": (70, 0, 130, 30), "EF": (0, 40, 60, 70)}, 40)
    assert text_of(found) == text_of(found[::-1]) == "AB CD\nEF"


def test_a_line_that_falls_far_comes_before_the_one_below_its_beginning():
    falling = {word: (60 * n, 12 * n, 60 * n + 40, 12 * n + 30) for n, word in enumerate("ABCDEFGH")}
    found = [Found(word, box, 1.0) for word, box in (falling | {"X": (0, 32, 40, 62)}).items()]
    assert text_of(found) == text_of(found[::-1]) == "A B C D E F G H\nX"


def test_two_signs_that_tilt_differently_stay_apart():
    upper = turned({"FRESH": (0, 0, 100, 30), "BREAD": (0, 40, 100, 70)}, 25, (50, 35))
    lower = turned({"NO": (0, 300, 60, 330), "PARKING": (70, 300, 220, 330)}, -20, (100, 315))
    level = [Found("EXIT", (300, 120, 380, 150), 1.0), Found("ONLY", (390, 120, 480, 150), 1.0)]
    for found in (upper + level + lower, lower + level + upper):
        assert text_of(found) == "FRESH\nBREAD\nEXIT ONLY\nNO PARKING"
