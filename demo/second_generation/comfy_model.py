"""The second generation's models as ComfyUI's MODEL, CLIP and VAE.

load      (MODEL, CLIP, VAE) of files that train.py and train_codec.py write
"""

import comfy.latent_formats
import comfy.utils

from .. import as_comfyui
from . import boards, codec, eight_bits, models


class _Latents(comfy.latent_formats.LatentFormat):
    """The codec's, made unit by the mean and deviation [16] of each channel."""

    latent_channels = codec.CHANNELS

    def __init__(self, mean, deviation):
        self.mean, self.deviation = mean.view(1, -1, 1, 1), deviation.view(1, -1, 1, 1)

    def process_in(self, latent):
        return (latent - self.mean.to(latent)) / self.deviation.to(latent)

    def process_out(self, latent):
        return latent * self.deviation.to(latent) + self.mean.to(latent)


def load(name, model_file, codec_file):
    """(MODEL, CLIP, VAE) of "unet" or "mmdit"."""
    weights = eight_bits.unpacked(comfy.utils.load_torch_file(str(model_file), safe_load=True))
    diffusion_model, text_model = as_comfyui.parts(weights)
    latents = _Latents(weights["latents.mean"].float(), weights["latents.deviation"].float())
    size = boards.HEIGHT // codec.FACTOR, boards.WIDTH // codec.FACTOR
    advice = f"The demo models draw {boards.WIDTH} x {boards.HEIGHT} pixels: set Empty Latent Image to that."
    text = models.TEXT[name]
    return (
        as_comfyui.model(name, models.UNET if name == "unet" else models.MMDIT, diffusion_model, latents, size, advice),
        as_comfyui.clip(text, text.tokenize, text_model),
        as_comfyui.vae(codec.load(codec_file)[0], codec.FACTOR, codec.CHANNELS),
    )
