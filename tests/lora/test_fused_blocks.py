"""Blocks that make queries, keys and values together with their MLP: a LoRA on them is on attention alone, and diffusers loads it."""

import comfy.sd
import pytest
import torch
from text_layers.benchmarks.families.checks import Bench
from text_layers.lora.adapters import adapters
from text_layers.patching import models
from text_layers.testing.tiny_models import MODELS

from ..patching.diffusers_models import PAIRS

pytestmark = pytest.mark.any_comfyui

RANK, ALPHA = 3, 6
TINY = {tiny.kind: tiny for tiny in MODELS}


def randomized(added):
    for seed, p in enumerate(added.parameters()):
        with torch.no_grad():
            p.copy_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(100 + seed)))
    return added


def predictions(pair, model):
    """Arguments and result of the first call of a drawing."""
    calls = []
    handle = model.model.diffusion_model.register_forward_hook(
        lambda module, args, kwargs, out: calls.append((dict(zip(("x", "t"), args, strict=False)) | kwargs, out)), with_kwargs=True
    )
    Bench(pair.ours, model, cfg=1.0).draw(pair.ours.conditioning(0), steps=1)
    handle.remove()
    return calls[0]


# Older ComfyUI does not read diffusers' names of these.
NEWER = [pytest.param(name, marks=pytest.mark.needs_comfyui("0.30")) for name in ("Flux.2", "LongCat-Image")]


@pytest.mark.parametrize("name", ["Flux dev", "Chroma", *NEWER])
def test_diffusers_draws_the_same_with_the_file(name):
    """Both predictions are apart by as much as without it (see diffusers_models.pair)."""
    pair = next(pair for pair in PAIRS if pair.name == name)
    model, theirs = pair.build()
    layers = models.layer_names(model)
    with adapters(model, models.written(model, f"{layers[0]}, {layers[-1]}"), RANK, ALPHA, seed=0) as added:
        file = randomized(added).lora()
        _, in_training = predictions(pair, model)
    _, plain = predictions(pair, model)
    c, ours = predictions(pair, comfy.sd.load_lora_for_models(model, None, file, 1.0, 0)[0])
    assert (ours - plain).abs().max() > 0.01 * plain.abs().max()
    assert (in_training - ours).abs().max() <= 1e-4 * ours.abs().max()  # the same numbers in another order of operations
    theirs.load_lora_adapter(file, prefix="transformer")
    with torch.no_grad():
        predicted = pair.call(theirs, c["x"], c["t"], c)
    assert (predicted - ours).abs().max() <= pair.tolerance * ours.abs().max()


@pytest.mark.parametrize("kind", [kind for kind in ("Flux", "Flux2", "Chroma", "HunyuanImage21") if TINY[kind].exists])
def test_the_mlp_stays_as_it_is(kind):
    model = TINY[kind].build()
    layer = models.layer_names(model)[-1]
    with adapters(model, models.written(model, layer), RANK, ALPHA, seed=0) as added:
        file = randomized(added).lora()
        size = added.modules[f"{layer}.linear2"].projection.out_features
        again = randomized(added)
        again.load(file)
        assert all(again.lora()[key].allclose(w, atol=1e-6) for key, w in file.items())
    patched = comfy.sd.load_lora_for_models(model, None, file, 1.0, 0)[0]
    changed = {key: comfy.lora.calculate_weight(patched.patches[key], torch.zeros_like(w), key)
               for key, w in model.model.state_dict().items() if key in patched.patches}  # fmt: skip
    first, second = (changed[f"diffusion_model.{layer}.{name}.weight"] for name in ("linear1", "linear2"))
    assert len(changed) == 2
    assert first[: 3 * size].any(1).all() and not first[3 * size :].any()
    assert second[:, :size].any(0).all() and not second[:, size:].any()


def test_training_does_not_go_on_with_a_file_that_changes_the_mlp():
    model = TINY["Flux2"].build()
    layer = models.layer_names(model)[-1]
    with adapters(model, models.written(model, layer), RANK, ALPHA, seed=0) as added:
        file = {key: torch.ones_like(w) for key, w in added.lora().items()}
        with pytest.raises(ValueError, match="what is no attention"):
            added.load(file)
