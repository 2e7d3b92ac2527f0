"""Kandinsky 5, Image and Video."""

from .model import TinyModel

TINY = {
    "image_model": "kandinsky5", "model_dim": 32, "axes_dims": (4, 6, 6), "rope_scale_factor": (1.0, 1.0, 1.0), "time_dim": 16,
    "ff_dim": 48, "visual_embed_dim": 64, "in_text_dim": 24, "in_text_dim2": 8, "num_text_blocks": 2, "num_visual_blocks": 3,
}  # fmt: skip

FULL = {
    "image_model": "kandinsky5", "model_dim": 2560, "axes_dims": (32, 48, 48), "rope_scale_factor": (1.0, 1.0, 1.0), "time_dim": 512,
    "ff_dim": 10240, "visual_embed_dim": 64, "num_text_blocks": 2, "num_visual_blocks": 50,
}  # fmt: skip


# Beside the noisy video's channels the model has as many for given frames, and one that says which these are.
VIDEO = {"visual_embed_dim": 132}
VIDEO_FULL = {"model_dim": 1792, "axes_dims": (16, 24, 24), "ff_dim": 7168, "visual_embed_dim": 132, "num_visual_blocks": 32}


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


def first_frame(random, number):
    return {"time_dim_replace": random(1, 16, 1, 6, 8), "concat_mask": (random(1, 1, 2, 6, 8) > 0).float()}


MODELS = [
    TinyModel("Kandinsky5Image", "kandinsky5", TINY, (16, 8, 12), 24, picture=24, layers=3, place="all", extra=pooled,
              models="Kandinsky 5 Image Lite", full=FULL, full_layers=50),
    TinyModel("Kandinsky5", "kandinsky5", TINY | VIDEO, (16, 2, 6, 8), 24, picture=24, layers=3, place="all", extra=pooled,
              beside=first_frame, models="Kandinsky 5 Video Lite", full=FULL | VIDEO_FULL, full_layers=32),
]  # fmt: skip
