"""Krea 2. Its text is mixed by attention of its own (txtfusion) before it meets the picture's."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="krea2",
    description="Krea 2",
    classes=("comfy.ldm.krea2.model:SingleStreamDiT",),
    layers=("blocks.*.attn",),
    text=FIRST,
    counted="txtmlp:0",
    text_width=lambda model: model.txtlayers * model.txtdim,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.wk) + parameters(attention.wv),
    lora=("wq", "wk", "wv", "wo"),
)
