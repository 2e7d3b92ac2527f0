"""Cosmos-Predict2 and Anima."""

import torch

from .model import TinyModel

COSMOS = {
    "image_model": "cosmos_predict2", "max_img_h": 240, "max_img_w": 240, "max_frames": 128, "in_channels": 16, "out_channels": 16,
    "patch_spatial": 2, "patch_temporal": 1, "concat_padding_mask": True, "crossattn_emb_channels": 1024, "pos_emb_cls": "rope3d",
    "pos_emb_learnable": True, "pos_emb_interpolation": "crop", "min_fps": 1, "max_fps": 30, "use_adaln_lora": True,
    "adaln_lora_dim": 256, "extra_per_block_abs_pos_emb": False, "rope_h_extrapolation_ratio": 4.0, "rope_w_extrapolation_ratio": 4.0,
    "rope_t_extrapolation_ratio": 1.0, "extra_h_extrapolation_ratio": 1.0, "extra_w_extrapolation_ratio": 1.0,
    "extra_t_extrapolation_ratio": 1.0, "rope_enable_fps_modulation": False,
}  # fmt: skip
FULL = COSMOS | {"model_channels": 2048, "num_blocks": 28, "num_heads": 16}
TINY = COSMOS | {"model_channels": 32, "num_blocks": 3, "num_heads": 2, "adaln_lora_dim": 8}
# The text adapter has one size, which sets the width of the embeddings: 135 million parameters, most of which are cut off.
ANIMA = {"image_model": "anima"}
WORDS = 4000


def t5_tokens(random, tokens):
    """The words as T5 counts them; the adapter makes 512 embeddings of them."""
    return {"t5xxl_ids": (1000 * random(tokens).abs()).long().clamp(max=WORDS - 1), "t5xxl_weights": 1 + 0.1 * random(tokens)}


def one_block_and_fewer_words(model):
    adapter = model.llm_adapter
    adapter.blocks = adapter.blocks[:1]
    adapter.embed.weight = torch.nn.Parameter(adapter.embed.weight[:WORDS], requires_grad=False)


def frames(random, number):
    return {"frame_rate": 12 + 12 * number}


MODELS = [
    TinyModel("CosmosT2IPredict2", "cosmos", TINY | {"crossattn_emb_channels": 24}, (16, 1, 8, 12), 24, picture=24, layers=3, place="all",
              models="Cosmos-Predict2 2B, 14B text to image", full=FULL, full_layers=28),
    TinyModel("CosmosI2VPredict2", "cosmos", TINY | {"crossattn_emb_channels": 24, "in_channels": 17}, (16, 2, 6, 8), 24, picture=24,
              layers=3, place="all", beside=frames, models="Cosmos-Predict2 2B, 14B video to world", full=FULL | {"in_channels": 17},
              full_layers=28),
    TinyModel("Anima", "cosmos", TINY | ANIMA, (16, 1, 8, 12), 1024, picture=24, layers=3, place="all", tokens=48,
              text=lambda tokens: 512, extra=t5_tokens, models="Anima", cut=one_block_and_fewer_words, full=FULL | ANIMA, full_layers=28),
]  # fmt: skip
