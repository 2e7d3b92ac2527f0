"""Lumina-Image 2.0, NewBie, Z-Image, Zeta-Chroma and Ming-Image, which ComfyUI 0.30 has not.

Ming-Image has two pieces of text, one behind the other, and the frames of its reference pictures behind those that are drawn.
"""

from ..family import FIRST, Family, parameters


def _size(model):
    # Zeta-Chroma and Ming-Image have Z-Image's size, but were trained on pixels, and by others.
    other = "+pixels" if hasattr(model, "dec_net") else "+ming" if hasattr(model, "__ming_image__") else ""
    return f"{_text_width(model)}{other}"


def _text_width(model):
    return model.cap_embedder[1].in_features


FAMILY = Family(
    name="lumina",
    description="Lumina-Image 2.0, NewBie, Z-Image, Zeta-Chroma, Ming-Image",
    classes=("comfy.ldm.lumina.model:NextDiT",),
    layers=("layers.*.attention",),
    text=FIRST,
    counted="context_refiner.*:x",
    text_width=_text_width,
    heads=lambda attention: attention.n_local_heads,
    size=_size,
    kv=lambda attention: parameters(attention.qkv, 2 / (attention.n_rep + 2)),
    lora=("qkv", "out"),
)
