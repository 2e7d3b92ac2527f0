"""Tiny random models of ComfyUI's own classes, one file a family as in patching/adapters.

MODELS   all of them, also the text-to-image classes that cannot be served, with the reason
"""

from . import (
    aura,
    boogu,
    cascade,
    chroma,
    cosmos,
    ernie,
    flux,
    hidream,
    hidream_o1,
    hunyuan_dit,
    hunyuan_image,
    ideogram4,
    joyimage,
    kandinsky5,
    krea2,
    lens,
    lumina,
    mmdit,
    omnigen2,
    pixart,
    pixeldit,
    qwen_image,
    unet,
)
from .model import TinyModel

__all__ = ["MODELS", "TinyModel"]

MODELS = [
    model
    for family in (
        flux,
        pixart,
        lumina,
        omnigen2,
        boogu,
        pixeldit,
        aura,
        chroma,
        hunyuan_dit,
        hunyuan_image,
        qwen_image,
        joyimage,
        ideogram4,
        krea2,
        lens,
        hidream,
        hidream_o1,
        unet,
        mmdit,
        cascade,
        cosmos,
        kandinsky5,
        ernie,
    )
    for model in family.MODELS
]
