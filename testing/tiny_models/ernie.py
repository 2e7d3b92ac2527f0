"""Ernie-Image."""

from .model import TinyModel

TINY = {
    "image_model": "ernie", "hidden_size": 32, "num_attention_heads": 2, "num_layers": 4, "ffn_hidden_size": 48, "text_in_dim": 24,
    "rope_axes_dim": (4, 6, 6),
}  # fmt: skip

MODELS = [
    # ComfyUI's detection leaves the sizes of the only model to the defaults.
    TinyModel("ErnieImage", "ernie", TINY, (128, 4, 6), 24, picture=24, layers=4, place="last", models="Ernie-Image, Turbo",
              full={"image_model": "ernie"}, full_layers=36),
]  # fmt: skip
