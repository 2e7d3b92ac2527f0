"""DoRA as peft computes it. ComfyUI's own divides by the norm of the weight without the LoRA, as older files of LyCORIS want it."""

import comfy.model_management
import torch
from comfy.weight_adapter import LoRAAdapter


class PeftDora(LoRAAdapter):
    """weights: those of a LoRA, with a magnitude for each output as dora_scale.

    W' = m (W + s B A) / |W + s B A|, the norm of each output's row; another strength than 1 goes that part of the way.
    """

    def calculate_weight(
        self, weight, key, strength, strength_model, offset, function, intermediate_dtype=torch.float32, original_weight=None
    ):
        up, down, alpha, _, magnitude, _ = (
            comfy.model_management.cast_to_device(w, weight.device, intermediate_dtype) if torch.is_tensor(w) else w for w in self.weights
        )
        scale = alpha / down.shape[0] if alpha is not None else 1.0
        change = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
        moved = weight.to(intermediate_dtype) + scale * function(change)
        # A row of zeros stays one, where peft would divide by zero.
        norm = torch.linalg.vector_norm(moved.flatten(1), dim=1).clamp(min=torch.finfo(moved.dtype).tiny)
        factor = (magnitude.reshape(norm.shape) / norm).reshape(-1, *[1] * (weight.ndim - 1))
        weight += (strength * (factor * moved - weight)).to(weight.dtype)
        return weight
