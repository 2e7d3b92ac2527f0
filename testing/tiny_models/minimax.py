"""MiniMax H3."""

import torch

from .model import UNKEPT, TinyModel

H3 = {
    "image_model": "minimax_h3", "hidden_size": 32, "num_layers": 3, "token_refiner_num_layers": 1, "num_attention_heads": 2,
    "attention_head_dim": 16, "ffn_hidden_size": 24, "text_dim": 24, "timestep_input_dim": 16, "time_embed_hidden_size": 16,
    "time_embed_dim": 16, "rope_inv_freq_len": 2,
}  # fmt: skip


def tags(random, tokens):
    """Some of its tokens show a picture."""
    kinds = torch.ones(tokens, dtype=torch.long)
    kinds[1:3] = 0
    return {"minimax_token_tags": kinds}


def first_frame(random, number):
    return {"minimax_keyframes": [{"resolved_frame_index": 0, "latent": random(1, 24, 1, 6, 8)}], "minimax_frame_count": 5}


# Two frames of 12 tokens, and both channels of 7 moments of sound.
MODELS = [
    TinyModel("MiniMaxH3", "minimax", H3, (24, 2, 6, 8), 24, picture=24 + 14, layers=3, extra=tags, beside=first_frame, reference=12,
              sound=(32, 2, 7), unkept=UNKEPT, batches=False, models="MiniMax H3", full={"image_model": "minimax_h3"}, full_layers=50),
]  # fmt: skip
