"""HiDream-I1 and E1. A layer's text is T5's tokens, those of Llama's last layer and those of the Llama layer that is its own."""

from ..family import AFTER, Family, parameters


def _kv(attention):
    if attention.single:
        return parameters(attention.to_k) + parameters(attention.to_v)
    return parameters(attention.to_k_t) + parameters(attention.to_v_t)


FAMILY = Family(
    name="hidream",
    description="HiDream (I1, E1)",
    classes=("comfy.ldm.hidream.model:HiDreamImageTransformer2DModel",),
    layers=("double_stream_blocks.*.block.attn1", "single_stream_blocks.*.block.attn1"),
    text=AFTER,
    counted="double_stream_blocks.*:image_tokens",
    text_width=lambda model: model.caption_projection[-1].linear.in_features,
    heads=lambda attention: attention.heads,
    pooled=True,
    kv=_kv,
    lora=("to_q", "to_k", "to_v", "to_out"),
)
