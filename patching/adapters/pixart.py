"""PixArt alpha and sigma."""

from ..family import ALL, Family, parameters

FAMILY = Family(
    name="pixart",
    description="PixArt (alpha, sigma)",
    classes=("comfy.ldm.pixart.pixartms:PixArtMS",),
    layers=("blocks.*.cross_attn",),
    text=ALL,
    evolves=False,
    text_width=lambda model: model.y_embedder.y_proj.fc1.in_features,
    heads=lambda attention: attention.num_heads,
    passes_options=False,
    kv=lambda attention: parameters(attention.kv_linear),
    lora=("q_linear", "kv_linear", "proj"),
)
