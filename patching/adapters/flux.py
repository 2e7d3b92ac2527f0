"""Flux and the models that are built like it."""

from ..family import FIRST, Family

FAMILY = Family(
    name="flux",
    description="Flux (dev, schnell, Krea, Kontext), Flux 2, LongCat-Image",
    classes=("comfy.ldm.flux.model:Flux",),
    layers=("double_blocks.*", "single_blocks.*"),
    text=FIRST,
    counted="double_blocks.*:txt",
    text_width=lambda model: model.txt_in.in_features,
    heads=lambda block: block.num_heads,
    lora=("img_attn.qkv", "img_attn.proj", "linear1", "linear2"),
)
