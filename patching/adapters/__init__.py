"""One file a family: where its text layers are.

FAMILIES    all of them; a model belongs to the first that owns it
"""

from . import aura, boogu, chroma, deepfloyd, flux, hunyuan_dit, hunyuan_image, lumina, mmdit, omnigen2, pixart, pixeldit, unet

FAMILIES = tuple(
    adapter.FAMILY
    for adapter in (unet, mmdit, flux, pixart, lumina, omnigen2, boogu, pixeldit, deepfloyd, aura, chroma, hunyuan_dit, hunyuan_image)
)
