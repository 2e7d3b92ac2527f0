"""Kandinsky 6, which ComfyUI 0.30 has not: Kandinsky 5's blocks, with sound drawn beside the video.

The sound reads the text in layers of its own (audioT), in which it stays the source's.
"""

from ..family import ALL, Family, parameters

FAMILY = Family(
    name="kandinsky6",
    description="Kandinsky 6",
    classes=("comfy.ldm.kandinsky6.model:Kandinsky6",),
    layers=("visual_blocks.*.videoT.cross_attention",),
    text=ALL,
    text_width=lambda model: model.video_text_embeddings.in_layer.in_features,
    heads=lambda attention: attention.num_heads,
    pooled=True,
    sounds=lambda model: True,
    kv=lambda attention: parameters(attention.to_key) + parameters(attention.to_value),
    lora=("to_query", "to_key", "to_value", "out_layer"),
)
