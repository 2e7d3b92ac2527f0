"""OmniGen2."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="omnigen2",
    description="OmniGen2",
    classes=("comfy.ldm.omnigen.omnigen2:OmniGen2Transformer2DModel",),
    layers=("layers.*.attn",),
    text=FIRST,
    counted="context_refiner.*:hidden_states",
    text_width=lambda model: model.time_caption_embed.caption_embedder[1].in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
