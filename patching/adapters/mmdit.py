"""Stable Diffusion 3 and 3.5."""

from ..family import FIRST, Family, parameters


def _size(model):
    # SD3.5-medium has SD3-medium's size, but a second, image-only attention in its first blocks.
    second = "+attn2" if any(block.x_block.x_block_self_attn for block in model.joint_blocks) else ""
    return f"{model.hidden_size}{second}"


FAMILY = Family(
    name="mmdit",
    description="MMDiT (Stable Diffusion 3 and 3.5)",
    classes=("comfy.ldm.modules.diffusionmodules.mmdit:MMDiT",),
    layers=("joint_blocks.*",),
    text=FIRST,
    counted="joint_blocks.*:0",
    text_width=lambda model: model.context_embedder.in_features,
    heads=lambda block: block.x_block.attn.num_heads,
    size=_size,
    pooled=True,
    kv=lambda block: parameters(block.context_block.attn.qkv, 2 / 3),
    lora=("x_block.attn.qkv", "x_block.attn.proj"),
)
