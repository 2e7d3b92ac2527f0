"""Models that are not ComfyUI's own in its management of memory.

whole_model    a module that is on the device as a whole or not at all
"""

import comfy.model_management
import comfy.model_patcher


class _Whole(comfy.model_patcher.ModelPatcher):
    """Its layers do not know how to compute with weights that lie elsewhere."""

    def partially_unload(self, *args, **kwargs):
        return 0


def whole_model(module):
    """For load_models_gpu with force_full_load: offloaded, and freed on the device, when others need the memory."""
    size = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    device, offload = comfy.model_management.get_torch_device(), comfy.model_management.vae_offload_device()
    return _Whole(module, device, offload, size)
