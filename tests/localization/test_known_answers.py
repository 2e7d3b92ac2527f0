"""Real pictures of models whose answer is known: trained layers at random places among many that do nothing."""

import numpy as np
import pytest
import torch
from text_layers.benchmarks import deep_demo
from text_layers.benchmarks.localization import held_out_pairs, setting
from text_layers.demo import comfy_model, pictures
from text_layers.localization.drawing import Drawing
from text_layers.localization.localize import localize
from text_layers.localization.strategies import STRATEGIES
from text_layers.localization.sweep import Sweep
from text_layers.patching import families
from text_layers.scoring.ocr import engine

TRAINED = {"unet": (4, 5, 7), "mmdit": (0, 1)}  # the MMDiT's block 2 makes the word a little surer, see demo/README.md


@pytest.mark.parametrize("name", ["unet", "mmdit"])
@pytest.mark.parametrize("layers", [12, 30])
def test_a_deep_model_draws_what_the_demo_model_draws(name, layers):
    (model, clip, vae), places = deep_demo.load(name, layers, seed=3)
    assert len(families.layer_names(model)) == layers and len(set(places)) == (9 if name == "unet" else 8)
    prompt = pictures.encode(clip, ['a red round sign on a blue wall that says "CAFE"'])
    shallow = pictures.sample(*comfy_model.load(name), prompt, 1, 1)
    # Adding zero is exact; one level of 255 for another choice of the float operations' order.
    assert np.abs(pictures.sample(model, clip, vae, prompt, 1, 1).astype(int) - shallow).max() <= 1


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "exhaustive"])
@pytest.mark.parametrize("name, layers, seed", [("unet", 24, 0), ("unet", 70, 1), ("mmdit", 24, 0)])
def test_every_fast_strategy_finds_the_trained_layers(tmp_path, strategy, name, layers, seed):
    loaded, places = deep_demo.load(name, layers, seed)
    sweep = Sweep(Drawing(*loaded, held_out_pairs(60, 5), setting(5, 16)), engine("RapidOCR"), tmp_path)
    found = localize(loaded[0], sweep, strategy)
    wanted = tuple(places[layer] for layer in TRAINED[name])
    assert set(wanted) <= set(found.selection.layers), found.selection
    assert found.selection.layers == wanted or (name == "mmdit" and set(found.selection.layers) <= set(places[:3])), found.selection


def test_exhaustive_search_finds_them_too(tmp_path):
    """On few pairs: it reads every layer of every one."""
    torch.manual_seed(0)
    loaded, places = deep_demo.load("unet", 12, seed=2)
    sweep = Sweep(Drawing(*loaded, held_out_pairs(8, 5), setting(5, 16)), engine("RapidOCR"), tmp_path)
    found = localize(loaded[0], sweep, "exhaustive")
    assert found.selection.layers == tuple(places[layer] for layer in TRAINED["unet"])
