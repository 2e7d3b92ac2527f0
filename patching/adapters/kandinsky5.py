"""Kandinsky 5, Image and Video.

Its text tokens pass blocks of their own, which the noise level modulates, before the picture attends them.
"""

from ..family import ALL, Family, parameters

FAMILY = Family(
    name="kandinsky5",
    description="Kandinsky 5 (Image, Video)",
    classes=("comfy.ldm.kandinsky5.model:Kandinsky5",),
    layers=("visual_transformer_blocks.*.cross_attention",),
    text=ALL,
    text_width=lambda model: model.text_embeddings.in_layer.in_features,
    heads=lambda attention: attention.num_heads,
    pooled=True,
    kv=lambda attention: parameters(attention.to_key) + parameters(attention.to_value),
    lora=("to_query", "to_key", "to_value", "out_layer"),
)
