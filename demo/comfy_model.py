"""The demo models as ComfyUI's MODEL, CLIP and VAE."""

from pathlib import Path

import comfy.latent_formats
import comfy.utils
import torch

from . import architecture, as_comfyui, signs
from .text_model import TextModel, tokenize

WEIGHTS = Path(__file__).parent / "weights"
MODELS = ("unet", "mmdit")


class FoldedPixels(comfy.latent_formats.LatentFormat):
    """Latents are the picture itself, folded 2x2 into channels."""

    latent_channels = architecture.LATENT_CHANNELS
    spacial_downscale_ratio = architecture.FOLD
    latent_rgb_factors = [[0.125 * (channel // 4 == colour) for colour in range(3)] for channel in range(12)]


class _FoldVAE(torch.nn.Module):
    def encode(self, pixels):
        return torch.nn.functional.pixel_unshuffle(pixels, architecture.FOLD)

    def decode(self, latents):
        return torch.nn.functional.pixel_shuffle(latents, architecture.FOLD)


def load(name):
    """(MODEL, CLIP, VAE) of "unet" or "mmdit". Raises FileNotFoundError when the weights are not there."""
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"The demo model's weights are missing: {path}. Install the pack again.")
    return from_state_dict(name, comfy.utils.load_torch_file(str(path), safe_load=True))


def from_state_dict(name, weights, config=None):
    """(MODEL, CLIP, VAE) from weights as demo/train.py writes them. config: of the diffusion model, if it is not the demo's own."""
    diffusion_model, text_model = as_comfyui.parts(weights)
    settings = config or (architecture.UNET if name == "unet" else architecture.MMDIT)
    size = signs.HEIGHT // architecture.FOLD, signs.WIDTH // architecture.FOLD
    advice = (
        f"The demo models draw {signs.WIDTH} x {signs.HEIGHT} pixels: set Empty Latent Image to that, in ComfyUI 0.3 to "
        f"{signs.WIDTH * 8 // architecture.FOLD} x {signs.HEIGHT * 8 // architecture.FOLD}."
    )
    return (
        as_comfyui.model(name, settings, diffusion_model, FoldedPixels(), size, advice),
        as_comfyui.clip(TextModel, tokenize, text_model),
        as_comfyui.vae(_FoldVAE(), architecture.FOLD, architecture.LATENT_CHANNELS),
    )
