"""One file a family: where its text layers are.

FAMILIES    all of them; a model belongs to the first that owns it
UNSERVABLE  diffusion models without text layers, as "module:class" -> why
UNSERVABLE_NEWER   the same of those that ComfyUI 0.30 has not
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
    kandinsky6,
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
    sensenova,
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
        sensenova,
        cascade,
        cosmos,
        kandinsky5,
        kandinsky6,
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
UNSERVABLE_NEWER = without_text.NEWER
UNSERVABLE_KINDS = without_text.KINDS
