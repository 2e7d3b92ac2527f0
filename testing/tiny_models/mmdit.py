"""Stable Diffusion 3 and 3.5."""

from ..full_size import SD3_MEDIUM, SD35_MEDIUM
from .model import TinyModel

# Positions are computed, because those of a checkpoint would be as the memory was.
TINY = {
    "input_size": None, "in_channels": 16, "patch_size": 2, "depth": 2, "num_blocks": 3, "adm_in_channels": 8,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 24, "out_features": 128}},
    "pos_embed_scaling_factor": None,
}  # fmt: skip


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


MODELS = [
    TinyModel("SD3", "mmdit", TINY, (16, 8, 12), 24, picture=24, layers=3, extra=pooled,
              models="Stable Diffusion 3 medium, 3.5 large", full=SD3_MEDIUM, full_layers=24),
    TinyModel("SD3", "mmdit", TINY | {"qk_norm": "rms", "x_block_self_attn_layers": [0, 1]}, (16, 8, 12), 24, picture=24, layers=3,
              extra=pooled, models="Stable Diffusion 3.5 medium", full=SD35_MEDIUM, full_layers=24),
]  # fmt: skip
