"""Boogu-Image."""

from .model import TinyModel
from .omnigen2 import mask, references

# What model detection does not read from the checkpoint is the class's default.
FULL = {
    "image_model": "boogu", "hidden_size": 3360, "num_layers": 32, "num_double_stream_layers": 8, "num_refiner_layers": 2,
    "instruction_feat_dim": 4096,
}  # fmt: skip
BOOGU = FULL | {
    "hidden_size": 96, "num_layers": 2, "num_double_stream_layers": 2, "instruction_feat_dim": 24, "num_attention_heads": 8,
    "num_kv_heads": 2, "axes_dim_rope": [4, 4, 4], "multiple_of": 16,
}  # fmt: skip

MODELS = [
    TinyModel("Boogu", "boogu", BOOGU, (16, 8, 12), 24, picture=24, layers=4, extra=mask, beside=references, reference=24,
              models="Boogu-Image 0.1", full=FULL, full_layers=40),
]  # fmt: skip
