"""Tiny random models of ComfyUI's own classes, one file a family as in patching/adapters.

MODELS   all of them, also the text-to-image classes that cannot be served, with the reason
"""

from . import (
    aura,
    boogu,
    chroma,
    flux,
    hidream,
    hidream_o1,
    hunyuan_dit,
    hunyuan_image,
    ideogram4,
    joyimage,
    krea2,
    lens,
    lumina,
    omnigen2,
    pixart,
    pixeldit,
    qwen_image,
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
    )
    for model in family.MODELS
]
