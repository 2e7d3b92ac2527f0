"""Qwen-Image, Mage-Flow."""

from .model import TinyModel

QWEN = {
    "image_model": "qwen_image", "in_channels": 64, "num_layers": 3, "attention_head_dim": 16, "num_attention_heads": 2,
    "joint_attention_dim": 24, "axes_dims_rope": (4, 6, 6),
}  # fmt: skip

MAGE = QWEN | {"image_model": "mage_flow", "in_channels": 128}


def references(random, number):
    return {"reference_latents": [random(1, 16, 1, 8, 12)]}


MODELS = [
    TinyModel("QwenImage", "qwen_image", QWEN, (16, 1, 8, 12), 24, picture=24, layers=3, beside=references, reference=24,
              models="Qwen-Image, Qwen-Image-Edit", full={"image_model": "qwen_image", "in_channels": 64, "num_layers": 60},
              full_layers=60),
    TinyModel("MageFlow", "qwen_image", MAGE, (128, 4, 6), 24, picture=24, layers=3,
              beside=lambda random, number: {"reference_latents": [random(1, 128, 4, 6)]}, reference=24, models="Mage-Flow",
              full={"image_model": "mage_flow", "in_channels": 128, "num_layers": 12}, full_layers=12),
]  # fmt: skip
