"""Tiny random models of ComfyUI's own classes, one file a family as in patching/adapters.

MODELS    all of them, also the text-to-image classes that cannot be served, with the reason
WITHOUT   all other classes of ComfyUI, with the reason
NEWER     those of ComfyUIs that came after 0.30
"""

from . import (
    aura,
    boogu,
    cascade,
    chroma,
    cogvideo,
    cosmos,
    cosmos1,
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
    ltx,
    lumina,
    minimax,
    mmdit,
    mochi,
    omnigen2,
    pixart,
    pixeldit,
    qwen_image,
    unet,
    wan,
)
from .model import TinyModel
from .newer import NEWER
from .without import WITHOUT

__all__ = ["MODELS", "NEWER", "WITHOUT", "TinyModel"]

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
        wan,
        ltx,
        minimax,
        cogvideo,
        mochi,
        cosmos1,
    )
    for model in family.MODELS
]
