"""Classes of ComfyUIs that came after 0.30: tried where they are there (docs/newer.md)."""

from dataclasses import replace

from .model import TinyModel
from .wan import MODELS as WAN
from .wan import first_frame

QWEN = {
    "image_model": "qwen_image21", "num_layers": 3, "attention_head_dim": 16, "num_attention_heads": 2, "context_in_dim": 24,
    "axes_dims_rope": (4, 6, 6),
}  # fmt: skip


def driven(random, number):
    """The video that drives the picture is a frame shorter."""
    return {"pose_video_latent": random(1, 16, 1, 6, 8)} | first_frame(random, number)


_I2V = next(tiny for tiny in WAN if tiny.kind == "WAN21_I2V")

NEWER = [
    TinyModel("QwenImage21", "qwen_image21", QWEN, (64, 4, 6), 24, picture=24, layers=3, models="Qwen-Image 2.1",
              full={"image_model": "qwen_image21"}, full_layers=32),
    replace(_I2V, kind="WAN_Animate2", config=_I2V.config | {"model_type": "animate2"}, beside=driven, models="Wan Animate 2",
            full=_I2V.full | {"model_type": "animate2"}),
]  # fmt: skip
