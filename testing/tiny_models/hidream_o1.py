"""HiDream-O1."""

import torch

from .model import TinyModel

O1 = {
    "image_model": "hidream_o1",
    "text_config_overrides": {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 16, "rope_dims": [4, 2, 2],
    },
    "vision_config_overrides": {"hidden_size": 16, "num_heads": 2, "intermediate_size": 16, "depth": 1, "num_position_embeddings": 16},
}  # fmt: skip


NOISE_LEVEL = 151673  # number of the prompt's last token, which stands with the picture's


def token_numbers(random, tokens):
    words = (random(1, tokens - 1).abs() * 1000).long()
    return {"text_input_ids": torch.cat([words, torch.tensor([[NOISE_LEVEL]])], 1)}


MODELS = [
    TinyModel("HiDreamO1", "hidream_o1", O1, (3, 128, 192), 1, picture=25, layers=3, text=lambda tokens: tokens - 1, extra=token_numbers,
              models="HiDream-O1-Image", full={"image_model": "hidream_o1"}, full_layers=36),
]  # fmt: skip
