"""Ernie-Image."""

from ..family import LAST, Family, parameters

FAMILY = Family(
    name="ernie",
    description="Ernie-Image",
    classes=("comfy.ldm.ernie.model:ErnieImageModel",),
    layers=("layers.*.self_attention",),
    text=LAST,
    counted="text_proj:0",
    text_width=lambda model: model.text_proj.in_features,
    heads=lambda attention: attention.heads,
    passes_options=False,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
