"""PixelDiT, and PiD, which decodes other models' latents with it."""

import torch

from .model import TinyModel

PIXELDIT = {
    "image_model": "pixeldit_t2i", "num_groups": 2, "hidden_size": 32, "pixel_hidden_size": 4, "pixel_attn_hidden_size": 16,
    "pixel_num_groups": 2, "patch_depth": 3, "pixel_depth": 1, "patch_size": 4, "txt_embed_dim": 24, "txt_max_length": 12,
}  # fmt: skip
PID = {"image_model": "pid", "lq_hidden_dim": 8, "lq_interval": 2, "lq_latent_channels": 16, "latent_spatial_down_factor": 8}


def cut(tokens):
    return min(tokens, PIXELDIT["txt_max_length"])


def latent(random):
    """PiD's prompts come with the same latent, which decides most of the picture."""
    return {"lq_latent": torch.linspace(-1, 1, 16 * 2 * 3).sin().reshape(1, 16, 2, 3), "degrade_sigma": torch.tensor([0.0])}


MODELS = [
    TinyModel("PixelDiTT2I", "pixeldit", PIXELDIT, (3, 16, 24), 24, picture=24, layers=3, text=cut, models="PixelDiT",
              full={"image_model": "pixeldit_t2i"}, full_layers=14),
    TinyModel("PiD", "pixeldit", PIXELDIT | PID, (3, 16, 24), 24, picture=24, layers=3, text=cut, always=latent,
              models="PiD (latents of Flux, SD3, Qwen-Image)", full=PID | {"lq_hidden_dim": 512}, full_layers=14),
]  # fmt: skip
