"""Texts in the order in which people read them."""

import pytest
from text_layers.scoring.lines import text_of
from text_layers.scoring.ocr import Found


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
        assert text_of([Found(word, box, 1.0) for word, box in found]) == text
