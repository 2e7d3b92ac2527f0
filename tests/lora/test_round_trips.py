"""A trained LoRA, saved, draws the same picture everywhere: ComfyUI's own loader, ours, and diffusers' pipelines."""

import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import diffusers
import pytest
import torch
from text_layers.lora import storage
from text_layers.lora.files import read
from text_layers.lora.load import load_lora
from text_layers.lora.train import Settings, train
from text_layers.patching import models

from ..patching.diffusers_models import PAIRS

pytestmark = pytest.mark.any_comfyui

STEPS, SEED = 6, 3


def time_steps(model):
    """Of the first noise levels of the steps. Whole numbers, which the two libraries do not round differently."""
    last = len(model.model.model_sampling.sigmas) - 1
    return [round(0.9 * last * (1 - n / STEPS)) for n in range(STEPS)]


def sigmas_of(model):
    return torch.cat([model.model.model_sampling.sigmas[time_steps(model)], torch.zeros(1)])


def draw(pair, model, prompt):
    """Latents through ComfyUI's Euler."""
    noise = torch.randn(1, *pair.ours.latent, generator=torch.Generator().manual_seed(SEED))
    return comfy.sample.sample_custom(
        model, noise, 1.0, comfy.samplers.sampler_object("euler"), sigmas_of(model), prompt, prompt, torch.zeros_like(noise),
        disable_pbar=True, seed=SEED,
    )  # fmt: skip


def draw_with_diffusers(pair, theirs, path, model, prompt):
    """The same through the family's pipeline, which loads the file itself."""
    (embeddings, extra), sigmas = prompt[0], sigmas_of(model)
    _, height, width = pair.ours.latent
    noise = torch.randn(1, *pair.ours.latent, generator=torch.Generator().manual_seed(SEED))
    start = model.model.model_sampling.noise_scaling(sigmas[0], noise, torch.zeros_like(noise))
    vae = diffusers.AutoencoderKL(block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
                                  up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=pair.ours.latent[0])  # fmt: skip
    options = {"guidance_scale": 1.0, "output_type": "latent", "prompt_embeds": embeddings,
               "pooled_prompt_embeds": extra["pooled_output"], "height": 8 * height, "width": 8 * width}  # fmt: skip
    if pair.name == "SDXL":
        scheduler = diffusers.EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        pipe = diffusers.StableDiffusionXLPipeline(vae, None, None, None, None, theirs, scheduler)
        scheduler.set_timesteps(timesteps=time_steps(model))
        options |= {"latents": start / scheduler.init_noise_sigma, "timesteps": time_steps(model)}
    else:
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        pipe = diffusers.StableDiffusion3Pipeline(theirs, scheduler, vae, None, None, None, None, None, None)
        options |= {"latents": start, "sigmas": sigmas[:-1].tolist()}
    if path:
        pipe.load_lora_weights(str(path))
    pipe.set_progress_bar_config(disable=True)
    drawn = pipe(**options).images
    return model.model.process_latent_out(drawn)


@pytest.mark.parametrize("name", ["SDXL", "SD3"])
def test_the_same_picture_everywhere(name, tmp_path):
    pair = next(pair for pair in PAIRS if pair.name == name)
    model, theirs = pair.build()
    prompt, layers = pair.ours.conditioning(0), models.written(model, "0, 2")
    latents = list(torch.randn(2, *pair.ours.latent, generator=torch.Generator().manual_seed(1)))
    seen = []
    settings = Settings(steps=6, learning_rate=3e-2, seed=2)
    trained = train(model, latents, [prompt], layers, settings, tell=lambda losses, _: seen.append(len(losses)))
    path = storage.write(trained.tensors, tmp_path / "trained.safetensors")

    plain = draw(pair, model, prompt)
    stock = draw(pair, comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(str(path)), 1.0, 0)[0], prompt)
    ours = draw(pair, load_lora(read(path), model, layers, 1.0, 0.0).model, prompt)
    assert stock.equal(ours)
    changed = (stock - plain).abs().max()
    assert changed > 0.01 * plain.abs().max()

    before = draw_with_diffusers(pair, theirs, None, model, prompt)
    # As near as both draw without a LoRA: the tolerance of one prediction, a few steps long.
    nearness = 10 * pair.tolerance * plain.abs().max()
    assert (before - plain).abs().max() <= nearness
    after = draw_with_diffusers(pair, theirs, path, model, prompt)
    assert (after - stock).abs().max() <= nearness < 0.1 * changed
    assert draw(pair, model, prompt).equal(plain)
