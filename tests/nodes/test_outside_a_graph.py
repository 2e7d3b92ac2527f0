"""Nodes called from a script or a notebook, where ComfyUI's queue is not there to number them."""

import comfy.sample
import folder_paths
import numpy as np
import pytest
import torch
from text_layers.demo import comfy_model, pictures, signs
from text_layers.nodes.guard import CheckDrawnText, GuardDrawnText
from text_layers.nodes.inversion import MaskDrawnText
from text_layers.nodes.localize import LocalizeTextLayers
from text_layers.nodes.lora import SaveLocalizedLora
from text_layers.nodes.measure import MeasureTextEdit
from text_layers.nodes.patch import PatchPromptIntoLayers
from text_layers.nodes.text_layers import ChooseTextLayers
from text_layers.nodes.text_set import DrawTextTrainingSet
from text_layers.nodes.training import _NEW, TrainLocalizedLora
from text_layers.patching import models
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS

pytestmark = pytest.mark.any_comfyui

PROMPT = 'a red round sign on a blue wall that says "CAFE"'


@pytest.fixture(scope="module")
def loaded():
    return comfy_model.load("unet")


@pytest.fixture(scope="module")
def sign():
    drawn = signs.draw([signs.Sign("CAFE", "white", "blue", "square")], np.random.default_rng(1))
    return torch.from_numpy(np.asarray(drawn)).float() / 255


def test_nodes_that_read(sign):
    report, _, f1, _ = MeasureTextEdit.execute(sign, sign, "CAFE", "RapidOCR").args
    assert f1 == 1.0 and "CAFE" in report
    assert CheckDrawnText.execute(sign, "RapidOCR", "", "").args[1] == "CAFE"
    assert 0 < MaskDrawnText.execute(sign, "RapidOCR", 4).args[0].mean() < 1


def test_nodes_that_draw_and_train(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    model, clip, vae = loaded
    images, texts = DrawTextTrainingSet.execute("CAFE HOTEL", 2, "any", "any", "any", "regular", "dark", True, 0).args
    latents = [{"samples": vae.encode(image)} for image in images]
    layers = ChooseTextLayers.execute(model, "published for this model", "").args[0]
    numbers = {"rank": [2], "alpha": [2.0], "learning_rate": [1e-4], "steps": [1], "batch_size": [1], "seed": [0], "preview_every": [1]}
    what = ([model], latents, [pictures.encode(clip, [text]) for text in texts], [layers])
    fixed = {"training_dtype": ["fp32"], "gradient_checkpointing": [False]}
    lora, _, steps, _ = TrainLocalizedLora.execute(*what, **fixed, resume=[_NEW], **numbers).args
    assert steps == 1 and (tmp_path / "loras" / "training_00001.training").is_file()
    more = {"save_every": [1], "accumulation": [2], "schedule": ["cosine"], "warmup": [1], "caption_dropout": [0.5], "patience": [0]}
    read = {"validation_words": ["BOX"], "validation_prompt": ['a sign that says "WORD"'], "validate_every": [9], "ocr": ["RapidOCR"]}
    goes_on = numbers | {"steps": [2], "resume": ["training_00001.training"], "vae": [vae], "clip": [clip]}
    again = TrainLocalizedLora.execute(*what, **fixed, **goes_on, **more, **read)
    assert again.args[2] == 2
    (text,) = again.ui["text"]
    assert "It went on from step 1, changed: steps 1 -> 2, accumulation 1 -> 2" in text and "Read best at step 2: " in text
    assert "The training is kept in output/loras/training_00002.training" in text
    assert SaveLocalizedLora.execute(lora, "loras/mine").ui["text"] == ("Saved as output/loras/mine_00001_.safetensors",)


def test_nodes_that_patch(loaded):
    model, clip, _ = loaded
    layers = models.preset(model)
    patched = PatchPromptIntoLayers.execute(model, pictures.encode(clip, [PROMPT]), layers, 0, OWN_RUN).args[0]
    guarded, cleaned, found, toxic = GuardDrawnText.execute(model, clip, PROMPT, layers, "HOTEL", "", "CAFE", 0, OWN_RUN).args
    assert patched is not model is not guarded and toxic and found == "CAFE" and "HOTEL" in cleaned


def test_without_layers_the_published_ones_are_patched(loaded):
    model, clip, _ = loaded
    source, target = (pictures.encode(clip, [PROMPT.replace("CAFE", word)]) for word in ("CAFE", "HOTEL"))
    latent = torch.zeros(1, 12, 16, 32)

    def drawn(*layers):
        patched = PatchPromptIntoLayers.execute(model, target, *layers).args[0]
        noise = comfy.sample.prepare_noise(latent, 1)
        return comfy.sample.sample(patched, noise, 4, 1.0, "euler", "simple", source, [], latent, seed=1, disable_pbar=True)

    by_default = drawn()
    assert torch.equal(by_default, drawn(models.preset(model)))
    assert not torch.equal(by_default, drawn(models.written(model, "0")))


def test_an_input_that_a_model_does_not_use_is_said(loaded):
    model, clip, _ = loaded
    target = pictures.encode(clip, [PROMPT])
    (said,) = PatchPromptIntoLayers.execute(model, target, method=SAME_LATENTS).ui["text"]
    assert said == "method is not used: this model's text does not change with the picture."
    assert PatchPromptIntoLayers.execute(model, target).ui is None


def test_localize(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path))
    model, clip, vae = loaded
    empty = {"samples": torch.zeros(1, 12, 16, 32)}
    found = LocalizeTextLayers.execute(
        model, clip, vae, empty, 'a red round sign on a blue wall that says "{word}"', "CAFE, HOTEL", "first_step", "RapidOCR", 1, 4, 3.0,
        "euler", "simple", "", 16
    )  # fmt: skip
    assert found.args[0].names and "text layers" in found.ui["text"][0]
    assert list((tmp_path / "text_layers" / "cells").iterdir())
