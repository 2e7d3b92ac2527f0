"""JoyAI-Image."""

from ..family import LAST, Family, parameters

FAMILY = Family(
    name="joyimage",
    description="JoyAI-Image",
    classes=("comfy.ldm.joyimage.model:JoyImageTransformer3DModel",),
    layers=("double_blocks.*.attn",),
    text=LAST,
    counted="double_blocks.*.attn:txt",
    text_width=lambda model: model.condition_embedder.text_embedder.linear_1.in_features,
    heads=lambda attention: attention.num_attention_heads,
    kv=lambda attention: parameters(attention.txt_attn_qkv, 2 / 3),
    lora=("img_attn_qkv", "img_attn_proj"),
)
