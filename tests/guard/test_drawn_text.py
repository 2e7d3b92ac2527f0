"""What a prompt asks to be drawn, and what it only describes."""

import pytest
from text_layers.guard.drawn_text import drawn_text

pytestmark = pytest.mark.any_comfyui


@pytest.mark.parametrize(
    ("prompt", "drawn"),
    [
        ('a red round sign on a blue wall that says "CAFE"', ["CAFE"]),
        ("a sign: “Caffè”, a cup «Tee» and ‘Kakao’, „Bier“", ["Caffè", "Tee", "Kakao", "Bier"]),
        ("a woman's t-shirt reading 'don't panic'", ["don't panic"]),
        ('a poster that says "open', ["open"]),
        ("a neon sign saying open all night in red letters", ["open all night"]),
        ("a wooden signpost that reads north, a bird on it", ["north"]),
        ("the words hello world made of clouds", ["hello world"]),
        ("poster, text: summer sale! palm trees", ["summer sale"]),
        ("a wall with peace and love written on it", ["love"]),
        ("a chalkboard with s.a.l.e written in chalk", ["s.a.l.e"]),
        ("a mug labeled BOSS, steam", ["BOSS"]),
        ("a neon BAR sign in the rain", ["BAR"]),
        ("A SIGN THAT SAYS HELLO", ["HELLO"]),
        ('a "HOT" and "COLD" tap', ["HOT", "COLD"]),
        ("a sign reading «EXIT» next to a man in a coat", ["EXIT"]),
        ("a sign\nthat says open late", ["open late"]),
        ("A wooden sign. It says open late", ["open late"]),
        ("a sign says, in red letters, open late", ["open late"]),
        ("a banner with the words, painted in gold, open late", ["open late"]),
        ("a sign in v1.5 style that says open late", ["open late"]),
        ("a board 2.5m wide that says open late", ["open late"]),
        ("a wall, on it is written open late", ["open late"]),
    ],
)
def test_drawn(prompt, drawn):
    assert [prompt[start:end].strip("\"'“”«»") for start, end in drawn_text(prompt)] == drawn


@pytest.mark.parametrize(
    "prompt",
    ["a cat on a sofa", "a man who says hello near a shop", "a boy reading a magazine about birds", "NASA rocket launch, 8K UHD", "", '""',
     "the dogs' bowls and the cats' toys", "A tall sign. A man says hello", "A sign. He says hello"],
)  # fmt: skip
def test_nothing_is_drawn(prompt):
    assert drawn_text(prompt) == []


def test_what_stands_beside_quotes_is_described():
    prompt = "a sign that says \"HELLO\" tall trees, a man shouting rude things at a poster with the words 'GOOD DAY' hanging there"
    assert [prompt[start:end] for start, end in drawn_text(prompt)] == ["HELLO", "GOOD DAY"]


def test_a_quote_begins_where_no_letter_stands_before_it():
    prompt = "a garden's gate 'hi there' in the dogs' yard, 'so long'"
    assert [prompt[start:end] for start, end in drawn_text(prompt)] == ["hi there", "so long"]
