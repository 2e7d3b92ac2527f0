"""Ideogram 4."""

from .model import TinyModel

IDEOGRAM = {
    "image_model": "ideogram4", "in_channels": 128, "num_layers": 3, "num_attention_heads": 2, "attention_head_dim": 16,
    "intermediate_size": 48, "adaln_dim": 8, "llm_features_dim": 24, "mrope_section": [4, 2, 2],
}  # fmt: skip

MODELS = [
    TinyModel("Ideogram4", "ideogram4", IDEOGRAM, (128, 4, 6), 24, picture=24, layers=3, models="Ideogram 4",
              full={"image_model": "ideogram4", "in_channels": 128, "num_layers": 34}, full_layers=34),
]  # fmt: skip
