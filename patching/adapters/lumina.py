"""Lumina-Image 2.0, NewBie, Z-Image and Zeta-Chroma."""

from ..family import FIRST, Family, parameters


def _size(model):
    # Zeta-Chroma has Z-Image's size, but was trained on pixels.
    return f"{_text_width(model)}{'+pixels' if hasattr(model, 'dec_net') else ''}"


def _text_width(model):
    return model.cap_embedder[1].in_features


FAMILY = Family(
    name="lumina",
    description="Lumina-Image 2.0, NewBie, Z-Image, Zeta-Chroma",
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
