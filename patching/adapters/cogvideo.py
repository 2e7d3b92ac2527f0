"""CogVideoX. Text and video are projected by the same weights."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="cogvideo",
    description="CogVideoX (text and image to video, inpaint)",
    classes=("comfy.ldm.cogvideo.model:CogVideoXTransformer3DModel",),
    layers=("blocks.*",),
    text=FIRST,
    counted="blocks.*:encoder_hidden_states",
    text_width=lambda model: model.patch_embed.text_proj.in_features,
    size=lambda model: f"{model.dim}-{model.in_channels}",
    heads=lambda block: block.num_heads,
    kv=lambda block: parameters(block.k) + parameters(block.v),
    lora=("q", "k", "v", "attn_out"),
)
