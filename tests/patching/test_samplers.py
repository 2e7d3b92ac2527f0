"""ComfyUI's own sampler nodes with a patched model: KSampler, KSamplerAdvanced, SamplerCustom and the guiders."""

import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from comfy_extras.nodes_perpneg import PerpNegGuider
from text_layers.patching import models
from text_layers.patching.patch import METHODS, patch_prompt

import nodes

STEPS, CFG, SEED = 2, 5.0, 3


def patched(oracle, positive=None, method=METHODS[0], indices="2, 4"):
    return patch_prompt(oracle.model, models.written(oracle.model, indices), positive or oracle.positive_B, method=method)


def all_layers(oracle):
    return f"0-{len(models.layer_names(oracle.model)) - 1}"


def empty(oracle):
    return {"samples": torch.zeros_like(oracle.noise)}


def ksampler(oracle, model):
    node = nodes.KSampler()
    return node.sample(model, SEED, STEPS, CFG, "euler", "normal", oracle.positive_A, oracle.negative, empty(oracle))[0]["samples"]


def advanced(oracle, model, latent=None, add_noise="enable", start=0, end=STEPS, leftover="disable"):
    node = nodes.KSamplerAdvanced()
    return node.sample(model, add_noise, SEED, STEPS, CFG, "euler", "normal", oracle.positive_A, oracle.negative,
                       latent or empty(oracle), start, end, leftover)[0]  # fmt: skip


def custom_advanced(oracle, model, guider):
    sigmas = custom.BasicScheduler.execute(model, "normal", STEPS, 1.0).args[0]
    sampler = custom.KSamplerSelect.execute("euler").args[0]
    noise = custom.RandomNoise.execute(SEED).args[0]
    return custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, empty(oracle)).args[0]["samples"]


def cfg_guider(oracle, model):
    return custom.CFGGuider.execute(model, oracle.positive_A, oracle.negative, CFG).args[0]


@pytest.mark.parametrize("method", METHODS)
def test_all_sampler_nodes_give_ksamplers_picture(oracle, method):
    model = patched(oracle, method=method)
    wanted = ksampler(oracle, model)
    assert (wanted - ksampler(oracle, oracle.model)).abs().max() > 1e-2
    assert torch.equal(advanced(oracle, model)["samples"], wanted)
    assert torch.equal(custom_advanced(oracle, model, cfg_guider(oracle, model)), wanted)
    sigmas = custom.BasicScheduler.execute(model, "normal", STEPS, 1.0).args[0]
    sampler = custom.KSamplerSelect.execute("euler").args[0]
    once = custom.SamplerCustom.execute(model, True, SEED, CFG, oracle.positive_A, oracle.negative, sampler, sigmas, empty(oracle))
    assert torch.equal(once.args[0]["samples"], wanted)


def two_stages(oracle, model):
    half = advanced(oracle, model, end=STEPS // 2, leftover="enable")
    return advanced(oracle, model, latent=half, add_noise="disable", start=STEPS // 2)["samples"]


def test_two_stages_are_one_run_in_cross_attention(sdxl):
    """1e-5: between the stages the latents are scaled to the output and back."""
    model = patched(sdxl)
    assert (two_stages(sdxl, model) - ksampler(sdxl, model)).abs().max() < 1e-5 * ksampler(sdxl, model).abs().max()


@pytest.mark.parametrize("method", METHODS)
def test_two_stages_with_the_sources_own_prompt(oracle, method):
    same = patched(oracle, oracle.positive_A, method, all_layers(oracle))
    assert torch.equal(two_stages(oracle, same), two_stages(oracle, oracle.model))


def other_guiders(oracle, model):
    positive, negative = oracle.positive_A, oracle.negative
    yield "BasicGuider", custom.BasicGuider.execute(model, positive).args[0]
    for style in ("regular", "nested"):
        yield f"DualCFGGuider {style}", custom.DualCFGGuider.execute(model, positive, oracle.positive_B, negative, CFG, 2.0, style).args[0]
    yield "PerpNegGuider", PerpNegGuider.execute(model, positive, negative, negative, CFG, 1.0).args[0]


@pytest.mark.parametrize("method", METHODS)
def test_other_guiders(oracle, method):
    """With the source's own prompt in all layers nothing changes; with another prompt something does."""
    runs = {}
    for name, model in (
        ("plain", oracle.model),
        ("same", patched(oracle, oracle.positive_A, method, all_layers(oracle))),
        ("edit", patched(oracle, method=method)),
    ):
        runs[name] = {kind: custom_advanced(oracle, model, guider) for kind, guider in other_guiders(oracle, model)}
    for kind, plain in runs["plain"].items():
        assert torch.equal(runs["same"][kind], plain), kind
        assert (runs["edit"][kind] - plain).abs().max() > 1e-2, kind


def test_an_inpainting_mask(oracle):
    """The part that is masked out stays the given latent."""
    latent = {"samples": torch.linspace(-1, 1, oracle.noise.numel()).reshape(oracle.noise.shape), "noise_mask": torch.zeros(1, 1, 128, 128)}
    latent["noise_mask"][..., 64:] = 1
    plain, edit = (advanced(oracle, model, latent=dict(latent))["samples"] for model in (oracle.model, patched(oracle)))
    for found in (plain, edit):
        assert torch.allclose(found[..., :7], latent["samples"][..., :7], atol=1e-5)
    assert (edit - plain)[..., 8:].abs().max() > 1e-2
