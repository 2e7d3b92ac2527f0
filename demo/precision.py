"""What the demo models are trained in."""

from functools import lru_cache

import torch


@lru_cache(None)
def fast_type(device):
    """bfloat16 is enough, but a CPU without instructions for it is many times as fast in float32."""
    return torch.float32 if device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported() else torch.bfloat16


def autocast(device):
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_type(device) == torch.bfloat16)
