"""Cosmos-Predict2 (text to image, video to world) and Anima, which puts an adapter of another text encoder before it."""

from ..family import ALL, Family, parameters


def _size(model):
    # Anima has the size of Cosmos-Predict2 2B, but was trained with other embeddings; and that for video was trained for it.
    adapter = "+adapter" if hasattr(model, "llm_adapter") else ""
    video = "+video" if model.in_channels > model.out_channels else ""
    return f"{model.model_channels}{adapter}{video}"


FAMILY = Family(
    name="cosmos",
    description="Cosmos-Predict2 (text to image, video to world), Anima",
    classes=("comfy.ldm.cosmos.predict2:MiniTrainDIT",),
    layers=("blocks.*.cross_attn",),
    text=ALL,
    evolves=False,
    text_width=lambda model: model.blocks[0].cross_attn.context_dim,
    heads=lambda attention: attention.n_heads,
    size=_size,
    kv=lambda attention: parameters(attention.k_proj) + parameters(attention.v_proj),
    lora=("q_proj", "k_proj", "v_proj", "output_proj"),
)
