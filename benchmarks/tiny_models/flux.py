"""Flux (dev, schnell), Flux 2, LongCat-Image."""

from .model import TinyModel

FLUX = {
    "image_model": "flux", "in_channels": 16, "patch_size": 2, "out_channels": 16, "vec_in_dim": 8, "context_in_dim": 24, "hidden_size": 32,
    "mlp_ratio": 2.0, "num_heads": 2, "depth": 2, "depth_single_blocks": 3, "axes_dim": [4, 6, 6], "theta": 10000, "qkv_bias": True,
    "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip


FULL = FLUX | {
    "vec_in_dim": 768, "context_in_dim": 4096, "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": 19,
    "depth_single_blocks": 38, "axes_dim": [16, 56, 56],
}  # fmt: skip


def pooled(random, tokens):
    return {"pooled_output": random(1, 8), "guidance": 3.5}


MODELS = [
    TinyModel("Flux", "flux", FLUX, (16, 8, 12), 24, picture=24, layers=5, extra=pooled, models="Flux.1 dev, Krea, Kontext",
              full=FULL, full_layers=57),
    TinyModel("FluxSchnell", "flux", FLUX | {"guidance_embed": False}, (16, 8, 12), 24, picture=24, layers=5, extra=pooled,
              models="Flux.1 schnell", full=FULL | {"guidance_embed": False}, full_layers=57),
]  # fmt: skip
