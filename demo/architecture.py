"""What the two demo models are: configurations for ComfyUI's own UNetModel and MMDiT, and their starting weights.

The picture is folded 2x2 into channels (12 x 16 x 32, see comfy_model.FoldedPixels), so that both work on the same latents.
"""

import torch
from torch import nn

from .text_model import WIDTH

LATENT_CHANNELS = 12
FOLD = 2
UNET = {
    "image_size": 32,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "model_channels": 32,  # GroupNorm has 32 groups
    "channel_mult": [1, 2, 4],
    "num_res_blocks": [1, 2, 1],
    "transformer_depth": [0, 1, 1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [0, 0, 1, 1, 1, 1, 1],
    "num_heads": -1,
    "num_head_channels": 32,
    "context_dim": WIDTH,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "legacy": False,
}
MMDIT = {
    "input_size": None,
    "in_channels": LATENT_CHANNELS,
    "patch_size": 2,
    "depth": 2,  # width 64 * depth, heads = depth
    "num_blocks": 8,
    "adm_in_channels": WIDTH,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 128}},
    "qk_norm": "rms",
    "pos_embed_scaling_factor": None,
}
SHIFT = 3.0  # of the flow's timesteps, as SD3's


def initialize(model):
    """Starting weights for training: ComfyUI's modules leave theirs as the memory was."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        elif getattr(module, "weight", None) is not None:  # norms
            nn.init.ones_(module.weight)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    # Every residual branch starts as zero.
    for name, p in model.named_parameters():
        if any(part in name for part in ("proj_out.", "out_layers.3.", "out.2.", "adaLN_modulation.", "final_layer.linear.")):
            nn.init.zeros_(p)


def fold(pictures):
    """Pictures [B, 32, 64, 3] in 0..255 -> latents [B, 12, 16, 32] in -1..1."""
    x = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    return nn.functional.pixel_unshuffle(x, FOLD)


def unfold(latents):
    """Latents [B, 12, 16, 32] -> pictures [B, 32, 64, 3] uint8."""
    x = nn.functional.pixel_shuffle(latents, FOLD).permute(0, 2, 3, 1)
    return ((x + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
