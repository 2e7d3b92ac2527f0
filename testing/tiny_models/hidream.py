"""HiDream-I1, E1."""

from .model import TinyModel

HIDREAM = {
    "image_model": "hidream", "attention_head_dim": 16, "axes_dims_rope": [4, 6, 6], "caption_channels": [24, 20],
    "max_resolution": [16, 16], "in_channels": 16, "llama_layers": [0, 1, 2, 2, 2], "num_attention_heads": 2, "num_routed_experts": 4,
    "num_activated_experts": 2, "num_layers": 2, "num_single_layers": 3, "out_channels": 16, "patch_size": 2, "text_emb_dim": 8,
}  # fmt: skip

FULL = HIDREAM | {
    "attention_head_dim": 128, "axes_dims_rope": [64, 32, 32], "caption_channels": [4096, 4096], "max_resolution": [128, 128],
    "llama_layers": [*range(32), *[31] * 16], "num_attention_heads": 20, "num_layers": 16, "num_single_layers": 32, "text_emb_dim": 2048,
}  # fmt: skip


def llama_and_pooled(random, tokens):
    return {"conditioning_llama3": random(1, 3, tokens, 20), "pooled_output": random(1, 8)}


def picture_to_edit(random, number):
    return {"concat_latent_image": random(1, 16, 8, 12)}


MODELS = [
    TinyModel("HiDream", "hidream", HIDREAM, (16, 8, 12), 24, picture=24, layers=5, place="last", text=lambda tokens: 3 * tokens,
              extra=llama_and_pooled, beside=picture_to_edit, reference=24,
              models="HiDream-I1 (full, dev, fast), HiDream-E1", full=FULL, full_layers=48),
]  # fmt: skip
