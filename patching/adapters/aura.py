"""AuraFlow. Its learned register tokens stand before the text and are counted to it: they carry text from one layer to the next."""

from ..family import FIRST, Family, parameters

FAMILY = Family(
    name="aura",
    description="AuraFlow, Pony V7",
    classes=("comfy.ldm.aura.mmdit:MMDiT",),
    layers=("double_layers.*.attn", "single_layers.*.attn"),
    text=FIRST,
    counted="double_layers.*.attn:c",
    text_width=lambda model: model.cond_seq_linear.in_features,
    heads=lambda attention: attention.n_heads,
    kv=lambda attention: parameters(attention.w1k) + parameters(attention.w1v),
    # w1 is the text's in a double layer, and both streams' in a single one.
    lora=lambda attention: tuple(f"{'w2' if hasattr(attention, 'w2q') else 'w1'}{part}" for part in "qkvo"),
)
