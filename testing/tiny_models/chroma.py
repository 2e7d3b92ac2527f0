"""Chroma and Chroma Radiance."""

import torch

from .model import TinyModel

CHROMA = {
    "image_model": "chroma", "in_channels": 64, "out_channels": 64, "patch_size": 2, "context_in_dim": 24, "hidden_size": 32,
    "mlp_ratio": 2.0, "num_heads": 2, "depth": 2, "depth_single_blocks": 3, "axes_dim": [4, 6, 6], "theta": 10000, "qkv_bias": True,
    "in_dim": 64, "out_dim": 32, "hidden_dim": 16, "n_layers": 2, "txt_ids_dims": [], "vec_in_dim": None,
}  # fmt: skip
FULL = CHROMA | {
    "context_in_dim": 4096, "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": 19, "depth_single_blocks": 38,
    "axes_dim": [16, 56, 56], "out_dim": 3072, "hidden_dim": 5120, "n_layers": 5,
}  # fmt: skip

NEWER = ("txt_ids_dims", "vec_in_dim", "use_x0", "use_sequential_txt_ids")


def radiance(patch_size, **nerf):
    return {
        "image_model": "chroma_radiance", "in_channels": 3, "out_channels": 3, "patch_size": patch_size, "nerf_mlp_ratio": 4,
        "nerf_tile_size": 512, "nerf_final_head_type": "conv", "nerf_embedder_dtype": torch.float32, "use_x0": True,
        "use_sequential_txt_ids": True, **nerf,
    }  # fmt: skip


def guidance(random, number):
    return {"guidance": 1.0 + 3 * number}


MODELS = [
    TinyModel("Chroma", "chroma", CHROMA, (16, 8, 12), 24, picture=24, layers=5, beside=guidance, models="Chroma1", full=FULL,
              full_layers=57, newer=NEWER),
    TinyModel("ChromaRadiance", "chroma", CHROMA | radiance(4, nerf_hidden_size=8, nerf_depth=1, nerf_max_freqs=2), (3, 16, 24), 24,
              picture=24, layers=5, beside=guidance, models="Chroma1 Radiance",
              full=FULL | radiance(16, nerf_hidden_size=64, nerf_depth=4, nerf_max_freqs=8), full_layers=57, newer=NEWER),
]  # fmt: skip
