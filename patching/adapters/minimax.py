"""MiniMax H3: one sequence of the text's tokens, those of what it is shown, the sound's and the video's."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="minimax",
    description="MiniMax H3",
    classes=("comfy.ldm.minimax.model:MiniMaxH3Model",),
    layers=("blocks.*.attn",),
    text=FIRST,
    counted=":context",
    text_width=lambda model: model.condition_proj.in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.qkv_proj, 2 / 3),
    lora=("qkv_proj", "out_proj"),
    alone=True,
    sounds=lambda model: True,
)
