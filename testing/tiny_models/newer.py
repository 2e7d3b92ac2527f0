"""Classes of ComfyUIs that came after 0.30: tried where they are there (docs/newer.md)."""

from dataclasses import dataclass, replace
from importlib import import_module

import torch

from .lumina import Z_IMAGE, Z_IMAGE_FULL
from .model import UNKEPT, TinyModel
from .wan import MODELS as WAN
from .wan import first_frame

QWEN = {
    "image_model": "qwen_image21", "num_layers": 3, "attention_head_dim": 16, "num_attention_heads": 2, "context_in_dim": 24,
    "axes_dims_rope": (4, 6, 6),
}  # fmt: skip
# Ming-Image is made of Z-Image's blocks, without tokens of padding.
NOT_PADDED = {"image_model": "ming_image", "pad_tokens_multiple": None, "masked_pad_multiple": 32}
KANDINSKY = {
    "image_model": "kandinsky6", "model_dim": 32, "axes_dims": (4, 6, 6), "time_dim": 16, "ff_dim": 48, "in_text_dim": 24,
    "in_text_dim2": 8, "num_text_blocks": 2, "num_visual_blocks": 3, "model_dim_a": 16, "head_dim_a": 16, "time_dim_a": 16, "ff_dim_a": 24,
}  # fmt: skip
SENSENOVA = {
    "HIDDEN_SIZE": 32, "INTERMEDIATE_SIZE": 48, "NUM_LAYERS": 3, "NUM_HEADS": 4, "NUM_KV_HEADS": 2, "HEAD_DIM": 16,
}  # fmt: skip
SENSENOVA_FULL = {
    "HIDDEN_SIZE": 4096, "INTERMEDIATE_SIZE": 12288, "NUM_LAYERS": 42, "NUM_HEADS": 32, "NUM_KV_HEADS": 8, "HEAD_DIM": 128,
}  # fmt: skip


@dataclass(frozen=True)
class _SenseNova(TinyModel):
    """Its sizes are constants of its file."""

    def _settings(self, config, dtype, compute=None):
        for name, value in config["sizes"].items():
            setattr(import_module("comfy.ldm.sensenova.model"), name, value)
        return super()._settings(config, dtype, compute)


def narrow(diffusion_model):
    """What it is drawn with, whose sizes are written in the class."""
    head = diffusion_model.fm_modules["fm_head"]
    head.conv1, head.conv2 = torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.Conv2d(2, 192, 3, padding=1)


def token_numbers(random, tokens):
    return {"text_input_ids": (random(1, tokens).abs() * 1000).long()}


def shallow(random, tokens):
    return {"direct_context": random(1, tokens, 256)}


def pictures(random, number):
    return {"reference_latents": [random(1, 16, 1, 8, 12)]}


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


def reference_frame(random, number):
    """The last frame is given, and said to be."""
    return {"k6_reference_tail": True}


def driven(random, number):
    """The video that drives the picture is a frame shorter."""
    return {"pose_video_latent": random(1, 16, 1, 6, 8)} | first_frame(random, number)


_I2V = next(tiny for tiny in WAN if tiny.kind == "WAN21_I2V")

NEWER = [
    TinyModel("QwenImage21", "qwen_image21", QWEN, (64, 4, 6), 24, picture=24, layers=3, models="Qwen-Image 2.1",
              full={"image_model": "qwen_image21"}, full_layers=32),
    replace(_I2V, kind="WAN_Animate2", config=_I2V.config | {"model_type": "animate2"}, beside=driven, models="Wan Animate 2",
            full=_I2V.full | {"model_type": "animate2"}),
    TinyModel("MingImage", "lumina", Z_IMAGE | NOT_PADDED, (16, 1, 8, 12), 24, picture=24, layers=3, text=lambda tokens: 2 * tokens,
              extra=shallow, beside=pictures, reference=24, models="Ming-Image", full=Z_IMAGE_FULL | NOT_PADDED, full_layers=30),
    TinyModel("Kandinsky6", "kandinsky6", KANDINSKY, (16, 2, 6, 8), 24, picture=24, layers=3, place="all", extra=pooled,
              beside=reference_frame, sound=(7, 40), unkept=UNKEPT, models="Kandinsky 6", full={"image_model": "kandinsky6"},
              full_layers=60),
    _SenseNova("SenseNovaU15", "sensenova", {"image_model": "sensenova_u15", "sizes": SENSENOVA}, (3, 128, 192), 1, picture=24, layers=3,
               extra=token_numbers, cut=narrow, models="SenseNova U1.5", full={"image_model": "sensenova_u15", "sizes": SENSENOVA_FULL},
               full_layers=42),
]  # fmt: skip
