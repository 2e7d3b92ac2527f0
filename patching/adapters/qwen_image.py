"""Qwen-Image and Mage-Flow, which is built of its blocks."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="qwen_image",
    description="Qwen-Image (2512, Edit, Layered), Mage-Flow",
    classes=(
        "comfy.ldm.qwen_image.model:QwenImageTransformer2DModel",
        "comfy.ldm.mage_flow.model:MageFlowTransformer2DModel",
    ),
    layers=("transformer_blocks.*.attn",),
    text=FIRST,
    counted="transformer_blocks.*.attn:encoder_hidden_states",
    text_width=lambda model: model.txt_in.in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.add_k_proj) + parameters(attention.add_v_proj),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
