"""Word pairs and templates: what is read, and one clear sentence for what is wrong."""

import time

import pytest
from text_layers.localization.pairs import DEFAULT, WordPair, check_template, parse_pairs

pytestmark = pytest.mark.any_comfyui


def test_pairs_of_a_text():
    text = 'source,target\n# a comment\n\nCafe, hotel\n"OPEN","SHUT"\n'
    assert parse_pairs(text) == [WordPair("Cafe", "hotel"), WordPair("OPEN", "SHUT")]
    assert parse_pairs("OPEN,SHUT")[0].equal_length and not parse_pairs("CAFE,HOTEL")[0].equal_length


WANTED = [WordPair("Open daily", "Closed, sorry"), WordPair("ROUTE 66", "Café Müller"), WordPair("50 % OFF", "咖啡")]


@pytest.mark.parametrize(
    "text",
    [
        'Open daily,"Closed, sorry"\nROUTE 66,Café Müller\n50 % OFF,咖啡',
        '\ufeffSource,Target\r\nOpen daily,"Closed, sorry"\r\nROUTE 66,Café Müller\r\n50 % OFF,咖啡\r\n',
        "Open daily;Closed, sorry\nROUTE 66;Café Müller\n50 % OFF;咖啡",
        "source\ttarget\nOpen daily\tClosed, sorry\nROUTE 66\tCafé Müller\n50 % OFF\t咖啡",
        '"Open daily", "Closed, sorry"\n"ROUTE 66", "Café Müller"\n"50 % OFF", "咖啡"',
    ],
)
def test_tables_as_people_have_them(text):
    assert parse_pairs(text) == WANTED


def test_a_semicolon_in_a_text_parts_nothing():
    assert parse_pairs("OPEN, SHUT\nA;B, C;D") == [WordPair("OPEN", "SHUT"), WordPair("A;B", "C;D")]


def test_what_stays_of_a_text():
    wanted = [WordPair("'Tis", "Dogs'"), WordPair("19,50 €", "20,50 €"), WordPair("Fermé !", "Ouvert"), WordPair("CAFE", "HOTEL")]
    assert parse_pairs("'Tis;Dogs'\n19,50\u00a0€;20,50\u00a0€\n\u0020Fermé\u00a0!;'Ouvert'\nCAFE;\tHOTEL") == wanted
    assert parse_pairs("CAFE,\tHOTEL\nBAR,\tINN") == [WordPair("CAFE", "HOTEL"), WordPair("BAR", "INN")]


def test_prices_are_different_texts():
    assert parse_pairs("19.99;1999") == [WordPair("19.99", "1999")]


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
        ("A, B", "too short"),
        ("CAFE, cafe", "both words are the same"),
        ("Tom; Jerry, Cat", 'could be parted at "," and at ";"'),
        ("CAFE, ...", r"needs letters or digits"),
        ("CAFE, HO\x07TEL", r"U\+0007, which cannot be drawn"),
        ("OPEN, SHUT\nopen, shut", "there already"),
    ],
)
def test_errors_say_which_line_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        parse_pairs(text)


def test_the_time_of_many_pairs_grows_with_their_number_alone():
    letters, count = "ABCDEFGHIJ", 100_000
    lines = [f"{''.join(letters[int(digit)] for digit in f'{number:05}')},HOTEL" for number in range(count)]
    text, started, told = "\n".join(lines), time.process_time(), []
    pairs = parse_pairs(text, lambda: told.append(1))
    assert time.process_time() - started < 5  # 0.4 s; comparing each with all before it took 40 minutes
    assert len(pairs) == count and pairs[-1] == WordPair("JJJJJ", "HOTEL") and len(told) == 10
    with pytest.raises(ValueError, match=r"line 100001 .* there already"):
        parse_pairs(f"{text}\n{lines[0]}")


def test_many_pairs_can_be_interrupted():
    def interrupt():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        parse_pairs("\n" * 100_000, interrupt)


def test_the_template_says_where_the_word_goes():
    assert check_template('a sign that says "{word}"')
    with pytest.raises(ValueError, match=r"write \{word\} in it"):
        check_template("a sign")
