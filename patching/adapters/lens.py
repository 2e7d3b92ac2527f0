"""Lens."""

from ..family import LAST, Family, parameters

FAMILY = Family(
    name="lens",
    description="Lens",
    classes=("comfy.ldm.lens.model:LensTransformer2DModel",),
    layers=("transformer_blocks.*.attn",),
    text=LAST,
    counted="transformer_blocks.*.attn:encoder_hidden_states",
    text_width=lambda model: model.txt_in.in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.txt_qkv, 2 / 3),
    lora=("img_qkv", "to_out.0"),
)
