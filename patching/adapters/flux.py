"""Flux and the models that are built like it."""

from ..family import FIRST, Family, parameters


def text_kv(block):
    """Parameters of a Flux block that make the text's keys and values."""
    if hasattr(block, "txt_attn"):
        return parameters(block.txt_attn.qkv, 2 / 3)
    return parameters(block.linear1, 2 * block.hidden_size / block.linear1.out_features)


FAMILY = Family(
    name="flux",
    description="Flux.1 (dev, schnell, Krea, Kontext, Fill), Flux.2 (dev, Klein), LongCat-Image, Ovis-Image",
    classes=("comfy.ldm.flux.model:Flux",),
    layers=("double_blocks.*", "single_blocks.*"),
    text=FIRST,
    counted="double_blocks.*:txt",
    text_width=lambda model: model.txt_in.in_features,
    heads=lambda block: block.num_heads,
    kv=text_kv,
    lora=("img_attn.qkv", "img_attn.proj", "linear1", "linear2"),
)
