"""In how many bits a model computes while it is trained.

in_full     a context in which it computes in float32, whatever its weights are in
computing   a context for one call of it
"""

from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def in_full(model):
    """model: MODEL, loaded. Its weights stay as they are, and are cast where they are used, as ComfyUI does it with weights in few bits."""
    casting = [module for module in model.model.diffusion_model.modules() if hasattr(module, "comfy_cast_weights")]
    before = model.model.manual_cast_dtype, [getattr(module, *_flag(module)) for module in casting]
    model.model.manual_cast_dtype = torch.float32
    for module in casting:
        module.comfy_cast_weights = True
    try:
        yield
    finally:
        model.model.manual_cast_dtype = before[0]
        for module, cast in zip(casting, before[1], strict=True):
            setattr(module, _flag(module)[0], cast)


def _flag(module):
    """Where ComfyUI has moved a module off the card it casts its weights, too, and keeps what was before beside it."""
    return ("prev_comfy_cast_weights",) if hasattr(module, "prev_comfy_cast_weights") else ("comfy_cast_weights",)


def computing(device, low_precision):
    """Where it is not asked for, autocast is not entered at all: DirectML has none, not even one that is switched off. Raises ValueError
    where a device has none and it is asked for."""
    if not low_precision:
        return nullcontext()
    try:
        return torch.autocast(device.type, torch.bfloat16)
    except (RuntimeError, AssertionError):
        raise ValueError(f"This device ({device.type}) cannot train in bf16: set training_dtype to fp32.") from None
