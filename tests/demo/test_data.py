"""What the demo models were trained on and what their pictures show, measured on the renderer itself."""

import numpy as np
import pytest
from text_layers.demo import signs
from text_layers.demo.text_model import LENGTH, tokenize
from text_layers.demo.train import Data, word_list

pytestmark = pytest.mark.any_comfyui


def test_held_out_words_are_never_trained_on():
    train, held_out = set(word_list("train")), set(word_list("held_out"))
    assert len(held_out) >= 400
    assert not train & held_out
    data = Data(batch=1, seed=0, six_letters=0)
    rng = np.random.default_rng(0)
    drawn = {data.word(rng, length) for length in (3, 4, 5, 6) for _ in range(3000)}
    assert not drawn & held_out


@pytest.mark.long
def test_the_renderers_words_can_be_read():
    """The ceiling of every reading of a model's picture: 50 held-out words, drawn by the renderer. W and M are hard at this size."""
    from text_layers.scoring.ocr import engine

    rng = np.random.default_rng(3)
    words = rng.choice(word_list("held_out"), 50, replace=False)
    pictures = signs.draw([signs.random_sign(rng, str(w)) for w in words], rng)
    ocr = engine("RapidOCR")
    assert sum(ocr.read(p, enlarge=4) == w for p, w in zip(pictures, words, strict=True)) >= 47


def test_colours_and_shapes_are_measured_from_pixels():
    rng = np.random.default_rng(4)
    chosen = [signs.random_sign(rng, "FACE") for _ in range(200)]
    for sign, picture in zip(chosen, signs.draw(chosen, rng), strict=True):
        assert signs.read_colours(picture) == (sign.wall, sign.sign)
        assert signs.read_shape(picture) == sign.shape


def test_a_seed_gives_the_same_batch():
    a, b = (Data(batch=4, seed=9, six_letters=0)[5] for _ in range(2))
    assert all((x == y).all() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ('a red sign that says "CAFE" in neon', 'do not know the word "in"'),
        ('a sign that says "CAF3"', "letters A-Z"),
        ('a sign that says "RESTAURANT"', "1 to 6 letters"),
        ("a " * 30, "at most"),
    ],
)
def test_a_prompt_that_the_models_do_not_understand_is_an_error(prompt, message):
    with pytest.raises(ValueError, match=message):
        tokenize(prompt)


def test_every_prompt_has_the_same_length():
    longest = signs.Sign("CAFE", "red", "blue", "round").prompt()
    assert {len(tokenize(p)) for p in ("", "a red sign", longest)} == {LENGTH}
