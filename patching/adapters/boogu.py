"""Boogu-Image."""

from ..family import FIRST, Family, parameters


def _kv(attention):
    if hasattr(attention, "processor"):
        return parameters(attention.processor.instruct_to_k) + parameters(attention.processor.instruct_to_v)
    return parameters(attention.to_k) + parameters(attention.to_v)


FAMILY = Family(
    name="boogu",
    description="Boogu-Image",
    classes=("comfy.ldm.boogu.model:BooguTransformer2DModel",),
    # A double-stream layer's other attention, img_self_attn, is of the picture on itself.
    layers=("double_stream_layers.*.img_instruct_attn", "single_stream_layers.*.attn"),
    text=FIRST,
    counted="context_refiner.*:hidden_states",
    text_width=lambda model: model.time_caption_embed.caption_embedder[1].in_features,
    heads=lambda attention: attention.heads,
    kv=_kv,
    lora=("processor.img_to_q", "processor.img_to_k", "processor.img_to_v", "processor.img_out", "to_q", "to_k", "to_v", "to_out.0"),
)
