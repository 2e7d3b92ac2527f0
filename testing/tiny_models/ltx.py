"""LTX-Video, and LTX-2, which draws sound beside the video."""

import torch

from .model import UNKEPT, TinyModel

LTX = {
    "image_model": "ltxv", "num_layers": 3, "attention_head_dim": 12, "num_attention_heads": 2, "cross_attention_dim": 24,
    "caption_channels": 24,
}  # fmt: skip
SOUND = {
    "image_model": "ltxav", "audio_num_attention_heads": 2, "audio_attention_head_dim": 8, "audio_cross_attention_dim": 16,
    "connector_attention_head_dim": 12, "connector_num_attention_heads": 2,
}  # fmt: skip
MODULATED = {
    "caption_proj_before_connector": True, "caption_projection_first_linear": False, "cross_attention_adaln": True,
    "apply_gated_attention": True, "connector_apply_gated_attention": True,
}  # fmt: skip
FULL = {"image_model": "ltxv", "num_layers": 28, "attention_head_dim": 64, "cross_attention_dim": 2048}
FULL_2 = {"image_model": "ltxav", "num_layers": 48}
CONNECTORS_23 = {
    "connector_attention_head_dim": 128, "connector_num_attention_heads": 32, "audio_connector_attention_head_dim": 64,
    "audio_connector_num_attention_heads": 32,
}  # fmt: skip

REGISTERS = 1024  # tokens that its connectors make of any shorter text


def mask(random, tokens):
    seen = torch.ones(1, tokens, dtype=torch.long)
    seen[:, -2:] = 0
    return {"attention_mask": seen}


def frames(random, number):
    return {"frame_rate": 12 + 12 * number}


def before_connectors(random, tokens):
    return {"unprocessed_ltxav_embeds": True}


MODELS = [
    TinyModel("LTXV", "ltx", LTX, (128, 2, 3, 4), 24, picture=24, layers=3, place="all", extra=mask, beside=frames,
              models="LTX-Video 0.9 to 0.9.8", full=FULL, full_layers=28),
    TinyModel("LTXAV", "ltx", LTX | SOUND, (128, 2, 3, 4), 24, picture=24, layers=3, place="all", extra=before_connectors, beside=frames,
              text=lambda tokens: REGISTERS, sound=(8, 7, 16), unkept=UNKEPT, models="LTX-2", full=FULL_2, full_layers=48),
    TinyModel("LTXAV", "ltx2.3", LTX | SOUND | MODULATED | {"audio_connector_attention_head_dim": 8}, (128, 2, 3, 4), 40, picture=24,
              layers=3, place="all", extra=before_connectors, beside=frames, text=lambda tokens: REGISTERS, sound=(8, 7, 16),
              unkept=UNKEPT, models="LTX-2.3", full=FULL_2 | MODULATED | CONNECTORS_23, full_layers=48),
]  # fmt: skip
