"""Tiny random models of ComfyUI's own classes, one file a family as in patching/adapters.

MODELS   all of them, also the text-to-image classes that cannot be served, with the reason
"""

from . import aura, boogu, chroma, flux, hunyuan_dit, hunyuan_image, lumina, omnigen2, pixart, pixeldit
from .model import TinyModel

__all__ = ["MODELS", "TinyModel"]

MODELS = [
    model
    for family in (flux, pixart, lumina, omnigen2, boogu, pixeldit, aura, chroma, hunyuan_dit, hunyuan_image)
    for model in family.MODELS
]
