"""Lens."""

from .model import TinyModel

LENS = {
    "image_model": "lens", "in_channels": 128, "out_channels": 32, "num_layers": 3, "attention_head_dim": 16, "num_attention_heads": 2,
    "enc_hidden_dim": 8, "axes_dims_rope": (4, 6, 6), "multi_layer_encoder_feature": True, "selected_layer_index": (0, 1, 2),
}  # fmt: skip

FULL = {
    "image_model": "lens", "in_channels": 128, "out_channels": 32, "num_layers": 48, "num_attention_heads": 24, "enc_hidden_dim": 2880,
    "multi_layer_encoder_feature": True, "selected_layer_index": (0, 1, 2, 3),
}  # fmt: skip

MODELS = [
    TinyModel("Lens", "lens", LENS, (128, 4, 6), 24, picture=24, layers=3, place="last", models="Lens", full=FULL, full_layers=48),
]
