"""Word pairs and templates: what is read, and one clear sentence for what is wrong."""

import pytest
from text_layers.localization.pairs import DEFAULT, WordPair, check_template, parse_pairs

pytestmark = pytest.mark.any_comfyui


def test_pairs_of_a_text():
    text = 'source,target\n# a comment\n\nCafe, hotel\n"OPEN","SHUT"\n'
    assert parse_pairs(text) == [WordPair("CAFE", "HOTEL"), WordPair("OPEN", "SHUT")]
    assert parse_pairs("OPEN,SHUT")[0].equal_length and not parse_pairs("CAFE,HOTEL")[0].equal_length


def test_the_default_pairs_fit_the_demo_models():
    pairs = parse_pairs(DEFAULT)
    assert len(pairs) == 100
    assert all(3 <= len(word) <= 6 for pair in pairs for word in (pair.source, pair.target))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "There are no word pairs"),
        ("CAFE", r'line 1 \("CAFE"\): expected two words'),
        ("OPEN, SHUT\nCAFE, HOTEL, BAR", "line 2 .* expected two words"),
        ("A, B", "single letter"),
        ("CAFE, cafe", "both words are the same"),
        ("CAFÉ, HOTEL", "letters A to Z"),
        ("ROUTE, 66", "letters A to Z"),
        ("OPEN, SHUT\nopen, shut", "there already"),
    ],
)
def test_errors_say_which_line_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        parse_pairs(text)


def test_the_template_says_where_the_word_goes():
    assert check_template('a sign that says "{word}"')
    with pytest.raises(ValueError, match=r"write \{word\} in it"):
        check_template("a sign")
