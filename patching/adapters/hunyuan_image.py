"""HunyuanImage, and HunyuanVideo, whose diffusion model it is: Flux's blocks behind a refiner of the text.

Quoted text is encoded once more, letter by letter (ByT5); these tokens stand beside the prompt's and are text as well.
"""

from ..comfy import hunyuan_text_is_first
from ..family import FIRST, LAST, Family
from .flux import text_kv


def _text(counted, keys):
    return (FIRST if hunyuan_text_is_first() else LAST)(counted, keys)


FAMILY = Family(
    name="hunyuan_image",
    description="HunyuanImage 2.1, HunyuanVideo (text to video)",
    classes=("comfy.ldm.hunyuan_video.model:HunyuanVideo",),
    layers=("double_blocks.*", "single_blocks.*"),
    text=_text,
    counted="double_blocks.*:txt",
    text_width=lambda model: model.txt_in.input_embedder.in_features,
    heads=lambda block: block.num_heads,
    kv=text_kv,
    lora=("img_attn.qkv", "img_attn.proj", "linear1", "linear2"),
)
