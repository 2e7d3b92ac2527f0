"""One file a family: where its text layers are.

FAMILIES    all of them; a model belongs to the first that owns it
UNSERVABLE  diffusion models without text layers, as "module:class" -> why
UNSERVABLE_KINDS   classes of comfy.supported_models without them -> why
"""

from . import (
    aura,
    boogu,
    cascade,
    chroma,
    cogvideo,
    cosmos,
    cosmos1,
    deepfloyd,
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
    qwen_image21,
    unet,
    wan,
    without_text,
)

FAMILIES = tuple(
    adapter.FAMILY
    for adapter in (
        unet,
        mmdit,
        flux,
        pixart,
        lumina,
        omnigen2,
        boogu,
        pixeldit,
        deepfloyd,
        aura,
        chroma,
        hunyuan_dit,
        hunyuan_image,
        qwen_image,
        qwen_image21,
        joyimage,
        ideogram4,
        krea2,
        lens,
        hidream,
        hidream_o1,
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
) + (ltx.MODULATED,)

UNSERVABLE = cascade.UNSERVABLE | without_text.UNSERVABLE
UNSERVABLE_KINDS = without_text.KINDS
