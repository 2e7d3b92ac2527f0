"""Cosmos 1.0 (text to world, video to world)."""

from ..family import ALL, Family, parameters

FAMILY = Family(
    name="cosmos1",
    description="Cosmos 1.0 (text and video to world)",
    classes=("comfy.ldm.cosmos.model:GeneralDIT",),
    layers=("blocks.block*.blocks.1.block.attn",),
    text=ALL,
    evolves=False,
    text_width=lambda model: model.blocks["block0"].blocks[1].block.attn.to_k[0].in_features,
    size=lambda model: f"{model.model_channels}-{model.in_channels}",
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q.0", "to_k.0", "to_v.0", "to_out.0"),
)
