"""Pictures of the demo models through ComfyUI's own KSampler."""

import torch

from ..patching import drawn
from ..patching.comfy import batched
from . import architecture, signs

STEPS, CFG, SAMPLER, SCHEDULER = 12, 3.0, "euler", "simple"


def encode(clip, prompts):
    """CONDITIONING of several prompts, one row each."""
    return batched([drawn.encode(clip, prompt)[0] for prompt in prompts])


def sample(model, clip, vae, positive, seed, rows, negative="", steps=None):
    """Pictures [rows, 32, 64, 3] uint8."""
    return decode(vae, latents(model, clip, positive, seed, rows, negative, steps))


def latents(model, clip, positive, seed, rows, negative="", steps=None):
    """[rows, C, H, W] as KSampler gives them."""
    from nodes import common_ksampler

    size = (signs.HEIGHT // architecture.FOLD, signs.WIDTH // architecture.FOLD)
    empty = {"samples": torch.zeros(rows, architecture.LATENT_CHANNELS, *size)}
    return common_ksampler(model, seed, steps or STEPS, CFG, SAMPLER, SCHEDULER, positive, encode(clip, [negative]), empty)[0]["samples"]


def decode(vae, latents):
    return (vae.decode(latents) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
