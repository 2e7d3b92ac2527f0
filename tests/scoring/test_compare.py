"""When a reading is the wanted text."""

import pytest
from text_layers.scoring.compare import USUAL, Folding, capitals

pytestmark = pytest.mark.any_comfyui

STRICT = Folding(False, False, False, False)
COMPOSED = [("e\u0301", "é"), ("ＯＰＥＮ", "OPEN"), ("ﬁne", "fine"), ("ICE\nCREAM", "ICE CREAM"), (" a  b ", "a b")]
COMPOSED += [("L´école", "L'école"), ("10〜12", "10～12"), ("−5", "-5"), ("co\u00adop\u200b", "coop")]
DIFFERENT = [("50 %", "50"), ("€ 5.99", "5.99"), ("R&B", "RB"), ("#1", "1"), ("café", "cafe"), ("24", "25"), ("ガ", "カ")]
DIFFERENT += [("5,99", "599"), ("24/7", "247"), ("9:30", "930")]


@pytest.mark.parametrize(
    ("ignored", "a", "b"),
    [
        ("case", "Straße", "STRASSE"),
        ("case", "ΣΟΦΟΣ", "σοφος"),
        ("accents", "Café Müller", "Cafe Muller"),
        ("accents", "Йод", "Иод"),
        ("punctuation", "“Sale!”", "Sale"),
        ("punctuation", "self-made", "self made"),
        ("spaces", "ROUTE 66", "ROUTE66"),
        ("spaces", "ICE\nCREAM", "ICECREAM"),
        ("case", "Açık İstanbul", "AÇIK ISTANBUL"),
        ("accents", "Żółta łódź", "Zolta lodz"),
    ],
)
def test_what_is_ignored(ignored, a, b):
    alone = Folding(**{name: name == ignored for name in ("case", "accents", "punctuation", "spaces")})
    assert alone.folded(a) == alone.folded(b) and alone.says() == f"compared without {ignored}"
    others = Folding(**{name: name != ignored for name in ("case", "accents", "punctuation", "spaces")})
    assert others.folded(a) != others.folded(b)


@pytest.mark.parametrize(("a", "b"), COMPOSED)
def test_what_never_counts(a, b):
    assert STRICT.folded(a) == STRICT.folded(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_what_counts_as_it_is_usually_compared(a, b):
    assert USUAL.folded(a) != USUAL.folded(b)


@pytest.mark.parametrize("text", ["ガラス", "한국", "咖啡", "50 % & @ #"])
def test_what_no_folding_touches(text):
    assert Folding(True, True, True, False).folded(text) == text


def test_what_a_report_says():
    assert STRICT.says() == "compared as they stand" and USUAL.says() == "compared without case, punctuation and spaces"


def test_letters_of_the_demo_models():
    assert capitals("Caf\u00e9 24\nbar") == "CAFBAR"
