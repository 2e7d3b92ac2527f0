"""What nodes give beside pictures and models, against numbers and words that are known otherwise."""

import numpy as np
import pytest
import torch
from text_layers.nodes.guard import CheckDrawnText, GuardDrawnText
from text_layers.nodes.inversion import InvertPicture
from text_layers.nodes.measure import MeasureTextEdit
from text_layers.nodes.training import TrainLocalizedLora

from .every_input import looks
from .every_input.world import SOURCE, World

pytestmark = pytest.mark.any_comfyui


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("models"))


def psnr(a, b):
    """Of two IMAGEs of one picture, in the 256 levels in which pictures are saved."""
    levels = [np.round(picture.numpy().astype(float) * 255).clip(0, 255) / 255 for picture in (a, b)]
    return -10 * np.log10(np.mean((levels[0] - levels[1]) ** 2))


@pytest.mark.parametrize(("prompt", "found"), [(looks.GUARDED, "CRAP"), (SOURCE, "")])
def test_what_the_guard_found(world, prompt, found):
    inputs = looks.guarded(world) | {"prompt": prompt}
    model, cleaned, words, toxic = GuardDrawnText.execute(**inputs).args
    assert (words, toxic) == (found, bool(found)) and cleaned == prompt.replace("CRAP", "LOVE")
    assert (model is inputs["model"]) == (not found)


@pytest.mark.parametrize(("words", "found"), [(("CRAP",), "CRAP"), (("CAFE",), ""), (("CAFE", "CRAP"), "CRAP")])
def test_what_is_found_in_pictures(world, words, found):
    pictures = torch.cat([world.sign(word) for word in words])
    toxic, read, hits, boxes = CheckDrawnText.execute(pictures, "RapidOCR", "", "").args
    assert (toxic, read, hits) == (bool(found), "\n".join(words), found) and boxes.shape[0] == len(words)


def test_how_near_an_inverted_picture_is(world):
    """Of a batch the lowest."""
    pictures = torch.cat([world.sign("CAFE"), world.sign("HOTEL", "green")])
    _, _, drawn, found, _ = InvertPicture.execute(**looks.invert(world) | {"image": pictures}).args
    near = [psnr(picture, other) for picture, other in zip(pictures, drawn, strict=True)]
    assert near[0] != pytest.approx(near[1], abs=0.01) and found == pytest.approx(min(near), abs=1e-6)


def test_how_much_an_edit_changes(world):
    """Letters in common: the E of four and of five. A row of pixels that are 10 of 255 levels lighter, far from the word."""
    source = world.sign("HOTEL")
    edited = source.clone()
    edited[:, 0] = (edited[:, 0] + 10 / 255).clamp(max=1)
    same = MeasureTextEdit.execute(source, source, "HOTEL", "RapidOCR").args
    other = MeasureTextEdit.execute(source, edited, "CAFE", "RapidOCR").args
    assert same[2:] == (1.0, 100.0)
    assert other[2] == pytest.approx(2 / 9)
    changed = ((edited - source) ** 2).sum().item() / 3
    outside = 10 ** (other[3] / 10) * changed  # pixels over which it is spread: those that are not the word's
    assert 0.3 * 32 * 64 < outside < 0.9 * 32 * 64


def test_what_a_training_counts(world):
    inputs = looks.train(world) | {"steps": [3]}
    inputs = {name: value for name, value in inputs.items() if value != [None]}
    with world.fresh("output"):
        lora, losses, steps, _ = TrainLocalizedLora.execute(**inputs).args
    assert steps == len(losses["loss"]) == int(lora.metadata["ss_steps"]) == 3
    assert all(0 < loss < 10 for loss in losses["loss"]) and len(set(losses["loss"])) == 3
