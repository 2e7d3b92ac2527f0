"""Chroma: Flux's blocks, with modulations that one network makes for all of them."""

from ..family import FIRST, Family
from .flux import text_kv


def _size(model):
    # Radiance has Chroma's size, but was trained on pixels.
    return f"{model.txt_in.in_features}{'+pixels' if hasattr(model, 'nerf_blocks') else ''}"


FAMILY = Family(
    name="chroma",
    description="Chroma, Chroma Radiance",
    classes=("comfy.ldm.chroma.model:Chroma",),
    layers=("double_blocks.*", "single_blocks.*"),
    text=FIRST,
    counted="double_blocks.*:txt",
    text_width=lambda model: model.txt_in.in_features,
    heads=lambda block: block.num_heads,
    size=_size,
    kv=text_kv,
    lora=("img_attn.qkv", "img_attn.proj", "linear1", "linear2"),
)
