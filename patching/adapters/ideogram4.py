"""Ideogram 4. Without a negative prompt its unconditional call has the picture alone, and nothing is put there."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="ideogram4",
    description="Ideogram 4",
    classes=("comfy.ldm.ideogram4.model:Ideogram4Transformer2DModel",),
    layers=("layers.*.attention",),
    text=FIRST,
    counted="llm_cond_norm:0",  # runs only where there is text
    text_width=lambda model: model.llm_cond_proj.in_features,
    heads=lambda attention: attention.num_heads,
    kv=lambda attention: parameters(attention.qkv, 2 / 3),
    lora=("qkv", "o"),
)
