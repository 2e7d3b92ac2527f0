"""What ComfyUI reads of a prompt, against its own parser."""

import random

import pytest
from comfy.sd1_clip import escape_important, token_weights, unescape_important
from text_layers.guard.prompt import clean
from text_layers.guard.reading import readings


@pytest.mark.parametrize(
    ("prompt", "masked", "replaced"),
    [
        ("a sign that says (fuck:1.3)", "a sign that says (****:1.3)", "a sign that says (friend:1.3)"),
        ("a sign that says [fuck]", "a sign that says [****]", "a sign that says [friend]"),
        ('a sign: "fu(ck:1.2) you"', 'a sign: "**(**:1.2) you"', 'a sign: "friend you"'),
        ('a sign: "(f:1.1)(u:1.1)(c:1.1)(k:1.1)"', 'a sign: "(*:1.1)(*:1.1)(*:1.1)(*:1.1)"', 'a sign: "(friend:1.1)"'),
        ('a sign: "((fu))((ck))"', 'a sign: "((**))((**))"', 'a sign: "((friend))"'),
        ("a (sign that says (fuck:0.8):1.2)", "a (sign that says (****:0.8):1.2)", "a (sign that says (friend:0.8):1.2)"),
        ('a sign "fu/*x*/ck"', 'a sign "**/*x*/**"', 'a sign "friend/*x*/"'),
        ('a sign "{fu|fu}ck"', 'a sign "{**|**}**"', 'a sign "friend"'),
        ('a sign "{love|shit} you"', 'a sign "{love|****} you"', 'a sign "{love|friend} you"'),
        ("a sign that says {{fu|lu}ck|hey}", "a sign that says {{**|lu}**|hey}", "a sign that says {friend|hey}"),
        ("a sign that says fu{ck|ck}", "a sign that says **{**|**}", "a sign that says friend"),
        ("a sign that says fu{ck|ck} on a wall", "a sign that says **{**|**} on a wall", "a sign that says friend on a wall"),
        (r"a sign that says \(fuck\)", r"a sign that says \(****\)", r"a sign that says \(friend\)"),
        ("a sign that says embedding:some fuck", "a sign that says embedding:some ****", "a sign that says embedding:some friend"),
        ("a sign\nthat says fuck", "a sign\nthat says ****", "a sign\nthat says friend"),
    ],
)
def test_a_word_is_found_in_all_that_comfyui_takes_away(prompt, masked, replaced):
    assert clean(prompt).prompt == masked and clean(prompt, "friend").prompt == replaced
    assert clean(masked).words == clean(replaced).words == ()


@pytest.mark.parametrize("prompt", ['a sign "hello" // fuck', 'a (sign:1.2) "hello (world)"', "a sign that says embedding:fuck"])
def test_what_is_not_read_as_drawn_stays(prompt):
    assert clean(prompt).words == () and clean(prompt).prompt == prompt


def test_the_text_is_what_comfyui_encodes():
    rng = random.Random(3)
    pieces = ["(", ")", ":1.2", ":", "1", "a", "b c", r"\(", r"\)", '"', "\n", ".", "(x:0.5)"]
    compared = 0
    for _ in range(2000):
        prompt = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 12)))
        encoded = "".join(unescape_important(text) for text, _ in token_weights(escape_important(prompt), 1.0))
        for reading, expected in zip(readings(prompt), (encoded.translate(dict.fromkeys(map(ord, "()\\"))), prompt), strict=False):
            if len(readings(prompt)) == 2:
                assert reading.text == expected, prompt
                compared += 1
            assert all(prompt[place] == letter for letter, place in zip(reading.text, reading.places, strict=True) if place >= 0), prompt
    assert compared > 1000


def test_many_choices_are_still_all_read():
    prompt = "a sign that says " + " ".join("{a|b|c}" for _ in range(40)) + " {x|y|shit}"
    assert clean(prompt).words == ("shit",)
    assert clean("a sign that says {" + "a|" * 200 + "shit}").words == ("shit",)
    assert clean(r"a sign that says {fu|lu}c\k").words, "what is behind a backslash is read, too"


def test_brackets_without_end_are_refused():
    with pytest.raises(ValueError, match="more than 100 brackets"):
        clean("(" * 200 + ")" * 200)
