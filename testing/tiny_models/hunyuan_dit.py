"""HunyuanDiT 1.0 to 1.2."""

import torch

from .model import TinyModel

HUNYUAN = {
    "image_model": "hydit", "depth": 4, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2.0, "text_states_dim": 24,
    "text_states_dim_t5": 16, "text_len": 6, "text_len_t5": 8,
}  # fmt: skip
FULL = {"image_model": "hydit", "depth": 40, "hidden_size": 1408, "mlp_ratio": 4.3637}
FIRST_VERSIONS = {"image_model": "hydit1", "size_cond": True, "use_style_cond": True}


def t5_tokens(tokens):
    return tokens + 2


def both_encoders(random, tokens):
    """The last tokens of both are padding, where the model has embeddings of its own."""

    def mask(length, padding):
        return torch.tensor([[1] * (length - padding) + [0] * padding])

    t5 = t5_tokens(tokens)
    return {"attention_mask": mask(tokens, 2), "conditioning_mt5xl": random(1, t5, 16), "attention_mask_mt5xl": mask(t5, 3)}


def size(random, number):
    return {"width": 256 * (1 + number), "height": 256}


def tiny(kind, models, **more):
    return TinyModel(kind, "hunyuan_dit", HUNYUAN | more, (4, 16, 20), 24, picture=80, layers=4, place="all", extra=both_encoders,
                     beside=size, text=lambda tokens: tokens + t5_tokens(tokens),
                     models=models, full=FULL | more, full_layers=40)  # fmt: skip


MODELS = [tiny("HunyuanDiT", "HunyuanDiT 1.2"), tiny("HunyuanDiT1", "HunyuanDiT 1.0, 1.1", **FIRST_VERSIONS)]
