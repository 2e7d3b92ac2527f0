"""DeepFloyd IF through ComfyUI's KSampler on a tiny random U-Net, against diffusers' own scheduler, and with layers patched."""

import comfy.model_management
import comfy.ops
import comfy.sample
import pytest
import torch
from comfy.ldm.modules.attention import attention_pytorch
from text_layers.deepfloyd import files
from text_layers.deepfloyd.model import from_weights, threshold
from text_layers.deepfloyd.unet import DeepFloydUNet
from text_layers.patching import models
from text_layers.patching.patch import patch_prompt
from text_layers.patching.sweep import Swap, swap_rows
from text_layers.testing.full_size import Looked

import nodes as comfy_nodes

from ..patching.half_loaded import HalfLoaded
from .conftest import CONFIG

STEPS, CFG = 5, 7.0
# The first noise level is 20291, and that times float32's rounding is what a step from it is exact to.
ROUNDING = 1e-2


def conditioning(*embeddings):
    return [[torch.cat(embeddings), {"pooled_output": None}]]


def draw(tiny, model=None, source=None, noise=None, cfg=CFG, **options):
    noise = tiny.noise if noise is None else noise
    sources = conditioning(*(tiny.source,) if source is None else source)
    return comfy.sample.sample(
        model or tiny.model, noise, STEPS, cfg, options.pop("sampler", "euler"), "simple", sources, conditioning(tiny.negative),
        torch.zeros_like(noise), disable_pbar=True, seed=4, **options,
    )  # fmt: skip


@torch.no_grad()
def draw_in_diffusers(tiny, source):
    """IF's loop with diffusers' DDIM; `simple` takes the noise levels that are "trailing" there."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", clip_sample=False, thresholding=True, dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5, timestep_spacing="trailing",
    )  # fmt: skip
    scheduler.set_timesteps(STEPS)
    x = tiny.noise
    for t in scheduler.timesteps:
        negative, positive = (tiny.unet(x, t, text).sample[:, :3] for text in (tiny.negative, source))
        x = scheduler.step(negative + CFG * (positive - negative), t, x, use_clipped_model_output=True).prev_sample
    return x


def test_ksampler_draws_what_diffusers_draws(tiny):
    wanted = draw_in_diffusers(tiny, tiny.source)
    assert (draw(tiny) - wanted).abs().max() < ROUNDING
    assert (wanted - draw_in_diffusers(tiny, tiny.target)).abs().max() > 0.1


def test_the_noise_levels_are_ifs(tiny):
    from diffusers import DDPMScheduler

    wanted = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod.double()
    sampling = tiny.model.get_model_object("model_sampling")
    assert torch.allclose(sampling.sigmas.double().cpu(), ((1 - wanted) / wanted).sqrt(), rtol=1e-3)  # diffusers computes in float32
    assert torch.equal(sampling.timestep(sampling.sigmas).cpu(), torch.arange(1000))


def test_the_vae_turns_pixels_into_pictures_and_back(tiny):
    pixels = torch.rand(2, 3, 64, 64) * 2 - 1
    (picture,) = comfy_nodes.VAEDecode().decode(tiny.vae, {"samples": pixels})
    assert picture.shape == (2, 64, 64, 3)
    assert torch.allclose(picture, (pixels.movedim(1, -1) + 1) / 2, atol=1e-6)
    (latent,) = comfy_nodes.VAEEncode().encode(tiny.vae, picture)
    assert torch.allclose(latent["samples"], pixels, atol=1e-6)


@pytest.mark.needs_comfyui("0.30")
def test_an_empty_latent_image_is_as_large_as_it_says(tiny):
    (latent,) = comfy_nodes.EmptyLatentImage().generate(64, 48)
    samples = comfy.sample.fix_empty_latent_channels(tiny.model, latent["samples"], latent["downscale_ratio_spacial"])
    assert samples.shape == (1, 3, 48, 64)


def test_weights_in_half_precision_are_computed_with_as_comfyui_does(tiny):
    """On a CPU in float32, so that the picture is that of the same weights in float32."""
    weights = {k: v.half() for k, v in tiny.unet.state_dict().items()}
    half = from_weights(CONFIG, dict(weights), torch.float16)
    whole = from_weights(CONFIG, {k: v.float() for k, v in weights.items()}, torch.float32)
    assert half.model.diffusion_model.conv_in.weight.dtype == torch.float16
    if comfy.model_management.get_torch_device().type == "cpu":
        assert (draw(tiny, half) - draw(tiny, whole)).abs().max() < 1e-4
    else:
        assert draw(tiny, half).isfinite().all()


def halved(tiny, device=None):
    whole = from_weights(CONFIG, tiny.unet.state_dict(), torch.float32, disable_dynamic=True)
    return HalfLoaded(whole.model, device or whole.load_device, whole.offload_device)


@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_weights_that_are_not_loaded_are_cast_to_the_pictures_device(tiny, share):
    """The card is torch's device of shapes, which as little takes tensors from the computer's memory beside its own."""
    card = torch.device("meta")
    half = halved(tiny, card)
    half.patch_model(card, max(1, share * half.model_size()))  # 0 would load all
    devices = {w.device.type for w in half.model.diffusion_model.parameters()}
    assert devices == ({"cpu", "meta"} if share else {"cpu"})
    picture, text = torch.empty(2, 3, 16, 16, device=card), torch.empty(2, 77, CONFIG["encoder_hid_dim"], device=card)
    # The attention that ComfyUI takes on a CPU asks how much memory a card has left.
    options = {"optimized_attention_override": lambda _, *args, **kwargs: attention_pytorch(*args, **kwargs)}
    drawn = half.model.diffusion_model(picture, torch.empty(2, device=card), text, transformer_options=options)
    assert drawn.device == card and drawn.shape == picture.shape


def test_loaded_by_halves(tiny):
    """Sampled and patched as the whole model is, which on a card are two devices."""
    half = halved(tiny)
    half.set_model_sampler_post_cfg_function(threshold)
    layers = models.written(half, "0-10")
    for prompt in ("source", "target"):
        patched = [patch_prompt(model, layers, conditioning(getattr(tiny, prompt))) for model in (half, tiny.model)]
        assert (draw(tiny, patched[0]) - draw(tiny, patched[1])).abs().max() < 1e-3
    assert half.model.model_lowvram, "the model was loaded completely"


def test_the_model_is_left_as_it_was(tiny):
    before = draw(tiny)
    patched = patch_prompt(tiny.model, models.written(tiny.model, "0-10"), conditioning(tiny.target))
    assert (draw(tiny, patched) - before).abs().max() > 0.01
    assert torch.equal(draw(tiny), before)
    modules = tiny.model.model.diffusion_model.modules()
    assert not [m for m in modules if "forward" in vars(m)]


def test_a_target_equal_to_the_source_changes_no_bit(tiny):
    patched = patch_prompt(tiny.model, models.written(tiny.model, "0-10"), conditioning(tiny.source), conditioning(tiny.negative))
    assert torch.equal(draw(tiny, patched), draw(tiny))


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp_2m", "heun", "uni_pc"])
def test_samplers(tiny, sampler):
    plain = draw(tiny, sampler=sampler)
    assert plain.isfinite().all() and plain.abs().max() <= 1.5
    patched = patch_prompt(tiny.model, models.written(tiny.model, "4"), conditioning(tiny.target))
    assert not torch.equal(draw(tiny, patched, sampler=sampler), plain)


def test_prompts_of_another_length_are_not_repeated(tiny):
    """Beside the picture's own keys, text that is there twice would count twice."""
    long = torch.cat([tiny.target, tiny.source], 1)
    wanted = draw_in_diffusers(tiny, long)
    assert (draw(tiny, source=(long,)) - wanted).abs().max() < ROUNDING
    patched = patch_prompt(tiny.model, models.written(tiny.model, "0-10"), conditioning(long))
    assert draw(tiny, patched).isfinite().all()


def test_candidates_of_a_sweep_ride_in_one_batch(tiny):
    names = models.layer_names(tiny.model)
    swaps = [None, Swap((names[3],), 0), None, Swap((names[0], names[9]), 0)]
    prompts = (tiny.target, tiny.source, tiny.source, tiny.source)
    together = draw(tiny, swap_rows(tiny.model, swaps), prompts, tiny.noise.repeat(4, 1, 1, 1))
    for row, layers in ((0, None), (1, "3"), (2, None), (3, "0, 9")):
        model = patch_prompt(tiny.model, models.written(tiny.model, layers), conditioning(tiny.target)) if layers else tiny.model
        wanted = draw(tiny, model, (prompts[row],))
        assert (together[row : row + 1] - wanted).abs().max() < 2e-3, row


def test_order_is_that_of_execution(tiny):
    model = tiny.model.model.diffusion_model
    seen, names = [], models.layer_names(tiny.model)
    handles = [model.get_submodule(n).register_forward_hook(lambda *_, n=n: seen.append(n)) for n in reversed(names)]
    draw(tiny, cfg=1.0)
    for handle in handles:
        handle.remove()
    assert seen == names * STEPS
    assert names[4] == "mid_block.attentions.0" and len(names) == 11


def test_if_i_xl():
    unet = DeepFloydUNet(torch.float16, "meta", comfy.ops.disable_weight_init, **files.IF_I_XL)
    model = Looked(unet)
    names = models.layer_names(model)
    assert len(names) == 22 and names[9] == "mid_block.attentions.0"
    preset = models.preset(model)
    assert preset.names == (names[17],) == ("up_blocks.1.attentions.3",)
    family, total = models.family_of(model), sum(p.numel() for p in unet.parameters())
    assert round(total / 1e9, 1) == 4.3
    assert round(100 * family.kv(unet.get_submodule(preset.names[0])) / total, 2) == 0.28
    assert all(0 < family.kv(unet.get_submodule(name)) / total < 0.005 for name in names)


def test_a_run_can_be_interrupted(tiny):
    """In the middle of a call of the model, as the ones of 4 billion weights take long."""
    model = tiny.model.model.diffusion_model
    handle = model.mid_block.register_forward_hook(lambda *_: comfy.model_management.interrupt_current_processing())
    after = []
    late = model.up_blocks[0].register_forward_hook(lambda *_: after.append(True))
    before = draw_in_diffusers(tiny, tiny.source)
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            draw(tiny)
    finally:
        handle.remove()
        late.remove()
    assert not after
    assert (draw(tiny) - before).abs().max() < ROUNDING
