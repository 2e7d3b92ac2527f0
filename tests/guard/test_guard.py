"""Prompts cleaned, models guarded and pictures checked, on the demo models with a real OCR engine."""

import random

import numpy as np
import pytest
from text_layers.demo import comfy_model, pictures, signs
from text_layers.guard.guard import guard_model
from text_layers.guard.picture import check
from text_layers.guard.prompt import clean
from text_layers.patching import models
from text_layers.patching.patch import patch_prompt
from text_layers.scoring.ocr import engine

pytestmark = pytest.mark.any_comfyui


def test_a_prompt_is_cleaned_in_what_is_drawn_alone():
    prompt = 'a cock crowing shit, a sign that says "Fuck you, BITCH"'
    masked, replaced = clean(prompt), clean(prompt, "friend")
    assert masked.words == replaced.words == ("Fuck", "BITCH")
    assert masked.prompt == 'a cock crowing shit, a sign that says "**** you, *****"'
    assert replaced.prompt == 'a cock crowing shit, a sign that says "friend you, FRIEND"'
    assert clean(masked.prompt).words == () and clean(masked.prompt).prompt == masked.prompt
    assert clean('a sign: "F U C K"').prompt == 'a sign: "* * * *"', "the mask keeps the spaces"


def test_any_prompt_can_be_cleaned():
    """Hostile ones too: nothing raises, a clean prompt comes back as it was, and what is cleaned once is clean."""
    rng = random.Random(4)
    marks = [*"\"'“”«`\n.,*(){|}[]\\$^?", "\u200b", "\U0001f595", "ﬁ"]
    words = ["sign", "that says", "the word", "text:", "written", "with", "and", "fuck", "F U C K", "sh1t", "f*ck", "hello", "CAFE", "a"]
    pieces, toxic = marks + words, 0
    for _ in range(1500):
        prompt = "".join(rng.choice(pieces) + rng.choice(("", " ")) for _ in range(rng.randint(0, 14)))
        cleaned = clean(prompt, "friend")
        assert (cleaned.words == ()) == (cleaned.prompt == prompt), prompt
        assert clean(cleaned.prompt, "friend").words == (), prompt
        toxic += bool(cleaned.words)
        for word in cleaned.words:
            letters = iter(prompt)
            assert all(letter in letters for letter in word), "its letters stand in the prompt, brackets between them or not"
    assert 100 < toxic < 1400


@pytest.mark.parametrize(("replacement", "message"), [("shit", "toxic itself"), ('a"b', "quote"), ("a\nb", "line break")])
def test_a_replacement_that_would_not_help_is_refused(replacement, message):
    with pytest.raises(ValueError, match=message):
        clean('a sign: "FUCK"', replacement)


@pytest.mark.parametrize("name", ["unet", "mmdit"])
def test_the_word_goes_and_the_picture_stays(name):
    model, clip, vae = comfy_model.load(name)
    sign = signs.Sign("BITCH", "white", "green", "round")
    prompt, layers = sign.prompt(), models.preset(model)
    guarded, cleaned = guard_model(model, clip, prompt, layers, "FLOWER")
    assert cleaned.words == ("BITCH",) and guarded is not model
    positive, target = (pictures.encode(clip, [text]) for text in (prompt, cleaned.prompt))
    plain, drawn, by_hand = (
        pictures.sample(used, clip, vae, positive, 3, 1)[0] for used in (model, guarded, patch_prompt(model, layers, target))
    )
    assert np.array_equal(drawn, by_hand), "the same as Patch Prompt Into Layers with the cleaned prompt"
    ocr = engine("RapidOCR")
    before, after = check(plain, ocr), check(drawn, ocr)
    assert before.toxic == ("BITCH",) and before.toxic_boxes == before.boxes and after.toxic == () and after.words == ("FLOWER",)
    assert signs.read_colours(drawn) == signs.read_colours(plain) == ("green", "white")


def test_a_clean_prompt_gives_the_same_model():
    model, clip, _ = comfy_model.load("unet")
    guarded, cleaned = guard_model(model, clip, 'a red round sign on a blue wall that says "SWEET"', models.preset(model), "FLOWER")
    assert guarded is model and cleaned.words == ()
    assert guard_model(model, clip, "", models.preset(model))[0] is model


def test_a_mask_that_the_text_encoder_does_not_know_is_an_error():
    model, clip, _ = comfy_model.load("unet")
    with pytest.raises(ValueError, match=r"\*"):
        guard_model(model, clip, 'a red round sign on a blue wall that says "SHIT"', models.preset(model))


def test_two_boxes_that_are_toxic_only_together():
    two = [signs.draw([signs.Sign(word, "white", "blue", "square")], np.random.default_rng(1))[0] for word in ("PEN", "IS")]
    checked = check(np.concatenate(two, 1), engine("RapidOCR"))
    assert checked.words == ("PEN", "IS") and len(checked.toxic_boxes) == 2
    assert check(np.concatenate(two, 1), engine("RapidOCR"), allow=("penis",)).toxic == ()


def test_a_blank_picture_holds_no_words():
    checked = check(np.full((1, 1, 3), 255, np.uint8), engine("RapidOCR"))
    assert checked.words == checked.toxic == checked.boxes == ()


@pytest.mark.parametrize("prompt", ['a sign: "f*ckbitch"', 'a sign: "fu ck[F U C K"', 'a sign: "f*ckfuck shit"'])
def test_what_is_left_around_a_word_is_looked_at_again(prompt):
    for replacement in ("", "friend"):
        cleaned = clean(prompt, replacement)
        assert cleaned.words and clean(cleaned.prompt, replacement).words == ()


def test_a_word_that_the_user_blocks_is_guarded():
    model, clip, _ = comfy_model.load("unet")
    prompt, layers = 'a red round sign on a blue wall that says "SWEET"', models.preset(model)
    guarded, cleaned = guard_model(model, clip, prompt, layers, "FLOWER", block=("sweet",))
    assert guarded is not model and cleaned.words == ("SWEET",) and "FLOWER" in cleaned.prompt
    guarded, cleaned = guard_model(model, clip, prompt.replace("SWEET", "SHIT"), layers, "FLOWER", allow=("shit",))
    assert guarded is model and cleaned.words == ()
