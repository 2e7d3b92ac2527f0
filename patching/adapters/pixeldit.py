"""PixelDiT, and PiD, which decodes other models' latents with it."""

from ..family import FIRST, Family, parameters


def _size(model):
    # PiD has PixelDiT's size, but follows a latent.
    return f"{_text_width(model)}{'+latent' if hasattr(model, 'lq_proj') else ''}"


def _text_width(model):
    return model.y_embedder.proj.in_features


FAMILY = Family(
    name="pixeldit",
    description="PixelDiT, PiD",
    classes=("comfy.ldm.pixeldit.model:PixDiT_T2I",),
    layers=("patch_blocks.*.attn",),
    text=FIRST,
    counted="patch_blocks.*.attn:y",
    text_width=_text_width,
    heads=lambda attention: attention.num_heads,
    size=_size,
    kv=lambda attention: parameters(attention.qkv_y, 2 / 3),
    lora=("qkv_x", "proj_x"),
)
