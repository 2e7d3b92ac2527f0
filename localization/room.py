"""How many rows of a batch have room beside the model's weights, known before the first call.

rows_that_fit   by ComfyUI's own estimate of what a call of the model needs
room            bytes of the model's device that a call can use
"""

import comfy.model_management


def rows_that_fit(model, shape, most, sides, free=None):
    """From 1 to `most`. shape: of the latents; sides: of guidance, which ComfyUI draws in one call where it can; free: bytes, room(model)
    if not given. Of what does not fit ComfyUI would put weights off the device, which makes every call slower than a smaller batch does."""
    free = room(model) if free is None else free
    rows = most
    while free is not None and rows > 1 and model.model.memory_required([rows * sides, *shape[1:]]) > free:
        rows -= 1
    return rows


def room(model):
    """None on the CPU, of which ComfyUI estimates by another measure. What other models take there is given back when it is needed. A model
    that does not fit leaves half to the rows: its weights come and go with each call, and many rows share one."""
    management, device = comfy.model_management, model.load_device
    if management.is_device_cpu(device):
        return None
    others = [one for one in management.current_loaded_models if one.device == device and one.model is not None]
    others = sum(one.model_loaded_memory() for one in others if not one.model.is_clone(model))
    weights = max(0, model.model_size() - model.loaded_size())
    free = management.get_free_memory(device) + others - management.extra_reserved_memory()
    return max(free - weights, free / 2)
