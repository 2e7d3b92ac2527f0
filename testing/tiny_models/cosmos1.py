"""Cosmos 1.0."""

from .model import TinyModel

COSMOS = {
    "image_model": "cosmos", "max_img_h": 240, "max_img_w": 240, "max_frames": 128, "in_channels": 16, "out_channels": 16,
    "patch_spatial": 2, "patch_temporal": 1, "block_config": "FA-CA-MLP", "concat_padding_mask": True, "pos_emb_cls": "rope3d",
    "pos_emb_learnable": False, "pos_emb_interpolation": "crop", "block_x_format": "THWBD", "affline_emb_norm": True,
    "use_adaln_lora": True, "adaln_lora_dim": 256, "extra_per_block_abs_pos_emb": True, "rope_h_extrapolation_ratio": 1.0,
    "rope_w_extrapolation_ratio": 1.0, "rope_t_extrapolation_ratio": 2.0, "extra_per_block_abs_pos_emb_type": "learnable",
}  # fmt: skip
TINY = COSMOS | {"model_channels": 32, "num_blocks": 3, "num_heads": 2, "adaln_lora_dim": 8, "crossattn_emb_channels": 24}
FULL = COSMOS | {"model_channels": 4096, "num_blocks": 28, "num_heads": 32}

VIDEO = {"in_channels": 17}


def frames(random, number):
    return {"frame_rate": 12 + 12 * number}


def _cosmos(kind, models, changes):
    return TinyModel(kind, "cosmos1", TINY | changes, (16, 2, 6, 8), 24, picture=24, layers=3, place="all", beside=frames, models=models,
                     full=FULL | changes, full_layers=28)  # fmt: skip


MODELS = [_cosmos("CosmosT2V", "Cosmos 1.0 text to world", {}), _cosmos("CosmosI2V", "Cosmos 1.0 video to world", VIDEO)]
