"""Mochi."""

import torch

from .model import TinyModel

# ComfyUI asserts the width of the picture's MLP, 12288.
MOCHI = {
    "image_model": "mochi_preview", "depth": 3, "patch_size": 2, "num_heads": 2, "hidden_size_x": 32, "hidden_size_y": 24,
    "mlp_ratio_x": 384.0, "mlp_ratio_y": 2.0, "learn_sigma": False, "in_channels": 12, "qk_norm": True, "qkv_bias": False, "out_bias": True,
    "attn_drop": 0.0, "patch_embed_bias": True, "posenc_preserve_area": True, "timestep_mlp_bias": True, "attend_to_padding": False,
    "timestep_scale": 1000.0, "use_t5": True, "t5_feat_dim": 24, "t5_token_length": 256, "rope_theta": 10000.0,
}  # fmt: skip
FULL = MOCHI | {
    "depth": 48, "num_heads": 24, "hidden_size_x": 3072, "hidden_size_y": 1536, "mlp_ratio_x": 4.0, "mlp_ratio_y": 4.0, "t5_feat_dim": 4096,
}  # fmt: skip


def mask(random, tokens):
    seen = torch.ones(1, tokens, dtype=torch.long)
    seen[:, -2:] = 0
    return {"attention_mask": seen}


MODELS = [
    TinyModel("GenmoMochi", "mochi", MOCHI, (12, 2, 6, 8), 24, picture=24, layers=3, place="last", text=lambda tokens: tokens - 2,
              extra=mask, pools=True, models="Mochi 1", full=FULL, full_layers=48),
]  # fmt: skip
