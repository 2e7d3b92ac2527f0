"""JoyAI-Image."""

from .model import TinyModel

JOYIMAGE = {
    "image_model": "joyimage", "in_channels": 16, "hidden_size": 32, "patch_size": [1, 2, 2], "num_layers": 3, "num_attention_heads": 2,
    "text_dim": 24, "rope_dim_list": [4, 6, 6],
}  # fmt: skip

FULL = {
    "image_model": "joyimage", "in_channels": 16, "hidden_size": 4096, "patch_size": [1, 2, 2], "num_layers": 40,
    "num_attention_heads": 32, "text_dim": 4096,
}  # fmt: skip


def references(random, number):
    return {"reference_latents": [random(1, 16, 1, 8, 12)]}


MODELS = [
    TinyModel("JoyImage", "joyimage", JOYIMAGE, (16, 1, 8, 12), 24, picture=24, layers=3, place="last", beside=references, reference=24,
              models="JoyAI-Image-Edit", full=FULL, full_layers=40),
]  # fmt: skip
