"""OmniGen2."""

import torch

from .model import TinyModel

OMNIGEN2 = {
    "image_model": "omnigen2", "axes_dim_rope": [4, 4, 4], "axes_lens": [1024, 1664, 1664], "ffn_dim_multiplier": None, "hidden_size": 72,
    "in_channels": 16, "multiple_of": 16, "norm_eps": 1e-05, "num_attention_heads": 6, "num_kv_heads": 2, "num_layers": 3,
    "num_refiner_layers": 2, "out_channels": None, "patch_size": 2, "text_feat_dim": 24, "timestep_scale": 1000.0,
}  # fmt: skip
FULL = OMNIGEN2 | {
    "axes_dim_rope": [40, 40, 40], "hidden_size": 2520, "multiple_of": 256, "num_attention_heads": 21, "num_kv_heads": 7, "num_layers": 32,
    "text_feat_dim": 2048,
}  # fmt: skip


def mask(random, tokens):
    """The model counts the text's tokens in it."""
    return {"attention_mask": torch.ones(1, tokens, dtype=torch.long)}


def references(random, number):
    return {"reference_latents": [random(1, 16, 8, 12)]}


MODELS = [
    TinyModel("Omnigen2", "omnigen2", OMNIGEN2, (16, 8, 12), 24, picture=24, layers=3, extra=mask, beside=references, reference=24,
              models="OmniGen2", full=FULL, full_layers=32),
]  # fmt: skip
