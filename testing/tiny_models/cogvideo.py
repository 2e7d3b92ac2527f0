"""CogVideoX."""

from .model import TinyModel

COG = {
    "image_model": "cogvideox", "num_attention_heads": 3, "attention_head_dim": 16, "time_embed_dim": 16, "num_layers": 3,
    "in_channels": 16, "text_embed_dim": 24, "use_learned_positional_embeddings": False, "use_rotary_positional_embeddings": False,
}  # fmt: skip
ROTARY = {"use_rotary_positional_embeddings": True}
IMAGE = ROTARY | {"in_channels": 32, "patch_size_t": 2, "ofs_embed_dim": 16}
FULL = COG | {"num_attention_heads": 30, "attention_head_dim": 64, "time_embed_dim": 512, "num_layers": 30, "text_embed_dim": 4096}
FULL_5B = FULL | ROTARY | {"num_attention_heads": 48, "num_layers": 42}


def first_frame(random, number):
    return {"concat_latent_image": random(1, 16, 4, 6, 8)}


def hole(random, number):
    return {"concat_latent_image": random(1, 32, 2, 6, 8)}


MODELS = [
    TinyModel("CogVideoX_T2V", "cogvideo", COG, (16, 2, 6, 8), 24, picture=24, layers=3, models="CogVideoX 2B, 5B", full=FULL,
              full_layers=30),
    TinyModel("CogVideoX_I2V", "cogvideo", COG | IMAGE, (16, 4, 6, 8), 24, picture=24, layers=3, beside=first_frame,
              models="CogVideoX 5B, 1.5 5B image to video", full=FULL_5B | IMAGE | {"ofs_embed_dim": 512}, full_layers=42),
    TinyModel("CogVideoX_Inpaint", "cogvideo", COG | ROTARY | {"in_channels": 48}, (16, 2, 6, 8), 24, picture=24, layers=3, beside=hole,
              models="CogVideoX-Fun 1.5 inpaint", full=FULL_5B | {"in_channels": 48}, full_layers=42),
]  # fmt: skip
