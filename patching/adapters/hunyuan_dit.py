"""HunyuanDiT. The tokens of its two text encoders, CLIP's and T5's, are the keys and values of one cross-attention a block."""

from ..family import ALL, Family, parameters

FAMILY = Family(
    name="hunyuan_dit",
    description="HunyuanDiT",
    classes=("comfy.ldm.hydit.models:HunYuanDiT",),
    layers=("blocks.*.attn2",),
    text=ALL,
    evolves=False,
    text_width=lambda model: model.text_states_dim,
    heads=lambda attention: attention.num_heads,
    passes_options=False,
    kv=lambda attention: parameters(attention.kv_proj),
    lora=("q_proj", "kv_proj", "out_proj"),
)
