"""What becomes of a prompt in which other words should be drawn."""

import json

import pytest
from text_layers.editing.replace import Replacement, parsed, replaced
from text_layers.patching.drawn import drawn_texts

pytestmark = pytest.mark.any_comfyui

PROMPT = 'A café that says "OPEN daily", beside it a poster reading “Summer SALE”. It\'s a sunny day.'


def edited(prompt, text):
    return replaced(prompt, parsed(text))[0]


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        (PROMPT, ["OPEN daily", "Summer SALE"]),
        ("ein Schild „Geöffnet“ und «Ouvert»", ["Geöffnet", "Ouvert"]),
        ("招牌上写着「营业中」", ["营业中"]),
        ("a sign that reads 'Bob's place' on a baker's wall", ["Bob's place"]),
        ("the baker's wall and the butcher's door", []),
        ('a sign that says ""', [""]),
        ("no words", []),
        ('{"scene": "a wall", "text": "OPEN", "style": "a poster reading \\"SALE\\""}', ["OPEN", "SALE"]),
    ],
)
def test_drawn_texts(prompt, texts):
    found = drawn_texts(prompt)
    assert [text for text, _, _ in found] == texts
    assert all(prompt[start:end] == text for text, start, end in found)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("OPEN daily -> CLOSED", PROMPT.replace("OPEN daily", "CLOSED")),
        ("daily → on Sundays", PROMPT.replace("daily", "on Sundays")),
        ("open -> Shut", PROMPT.replace("OPEN", "Shut")),
        ('"OPEN daily" => "CLOSED"\nSALE -> Wear\n', PROMPT.replace("OPEN daily", "CLOSED").replace("SALE", "Wear")),
        ("OPEN -> SHUT\ndaily -> now", PROMPT.replace("OPEN daily", "SHUT now")),
        ("Summer SALE -> SUMMER\\nSALE", PROMPT.replace("Summer SALE", "SUMMER\nSALE")),
    ],
)
def test_replacements(text, target):
    assert edited(PROMPT, text) == target


def test_words_are_whole_ones_and_stay_outside_of_quotes():
    assert edited('an open door, "OPEN" and "OPENING"', "OPEN -> SHUT") == 'an open door, "SHUT" and "OPENING"'


def test_the_new_text_alone():
    assert edited('a sign that says "OPEN"', "CLOSED") == 'a sign that says "CLOSED"'
    assert edited('two signs, "A 1" and "A 1"', "B 2") == 'two signs, "B 2" and "B 2"'
    with pytest.raises(ValueError, match=r'several drawn texts.*"OPEN daily", "Summer SALE"'):
        edited(PROMPT, "CLOSED")


def test_replacements_are_found_in_the_prompt_as_it_was():
    """Two words change places."""
    assert edited('"LEFT" and "RIGHT"', "LEFT -> RIGHT\nRIGHT -> LEFT") == '"RIGHT" and "LEFT"'


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ('a red sign on a wall that says "OPEN"', "a red sign on a wall"),
        ('a sign with the words "OPEN" on a wall', "a sign on a wall"),
        ('a poster reading "SALE", a dog', "a poster, a dog"),
        ('"OPEN" on a wall', " on a wall"),
        ('a sign that says "OPEN" and "DAILY"', 'a sign and "DAILY"'),
    ],
)
def test_taken_away(prompt, target):
    words = drawn_texts(prompt)[0][0]
    assert edited(prompt, f"{words} ->") == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing to replace"),
        ("A -> B -> C", "Line 1 .* several arrows"),
        ("OPEN -> SHUT\n-> B", "Line 2 .* nothing before the arrow"),
        ("CLOSED -> SHUT", '"CLOSED" is in no drawn text of the prompt. Its drawn texts: "OPEN daily", "Summer SALE"'),
        ("café -> bar", '"café" is in no drawn text'),
        ("OPEN daily -> SHUT\nOPEN -> NEVER", "Two replacements change the same words"),
        ("OPEN -> OPEN", "change nothing"),
    ],
)
def test_what_cannot_be_done_says_what_the_drawn_texts_are(text, message):
    with pytest.raises(ValueError, match=message):
        edited(PROMPT, text)


def test_a_word_of_several_texts():
    with pytest.raises(ValueError, match=r"several times.*whole drawn text"):
        edited('"GO UP" and "GO DOWN"', "GO -> RUN")


def test_a_prompt_without_drawn_text():
    with pytest.raises(ValueError, match="has no drawn text: put the words"):
        edited("a sign that says OPEN", "OPEN -> SHUT")


def test_json_stays_json():
    prompt = json.dumps({"scene": "a shop", "text": "OPEN", "lettering": {"words": "SALE"}, "style": 'a note "now"'})
    told = replaced(prompt, [Replacement("OPEN", 'He said "NO"'), Replacement("SALE", "")])
    assert json.loads(told[0]) == {"scene": "a shop", "text": 'He said "NO"', "lettering": {"words": ""}, "style": 'a note "now"'}
    assert told[1] == [("OPEN", 'He said "NO"'), ("SALE", "")]
    assert replaced('{"text": "OPEN"}', [Replacement("OPEN", "ÉTÉ")])[0] == '{"text": "ÉTÉ"}', "the encoder sees letters, not their codes"


@pytest.mark.parametrize(
    ("prompt", "new"),
    [
        ('a sign that says "OPEN"', '5" PIPE'),
        ('a sign that says "OPEN"', 'Say "hi"'),
        ("a sign that says “OPEN”", 'Say "hi"'),
        ("a sign that says 'OPEN'", "DOGS' HOME"),
        ("a sign that says 'OPEN'", 'Say "hi"'),
        ('{"scene": "a sign that says \\"OPEN\\""}', 'Say "hi"'),
    ],
)
def test_a_quote_at_which_the_drawn_text_would_end_is_refused(prompt, new):
    with pytest.raises(ValueError, match="have a quote at which the drawn text would end"):
        replaced(prompt, [Replacement("OPEN", new)])


@pytest.mark.parametrize(
    ("prompt", "new", "drawn"),
    [
        ("a sign that says «OPEN»", '5" PIPE', '5" PIPE'),
        ('a sign that says "OPEN"', "IT'S", "IT'S"),
        ("a sign that says 'OPEN'", "IT'S", "IT'S"),
        ('{"text": "OPEN"}', 'Say "hi"', 'Say \\"hi\\"'),
    ],
)
def test_other_quotes_are_drawn(prompt, new, drawn):
    target, _ = replaced(prompt, [Replacement("OPEN", new)])
    assert drawn in [text for text, _, _ in drawn_texts(target)]
