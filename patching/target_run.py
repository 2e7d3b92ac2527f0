"""What a run of the target prompt leaves for the source's run: text keys and values, call by call."""

import comfy.model_management
import torch

ON_DEVICE = 256 * 2**20  # bytes kept beside the model; what is more goes to the model's offload device
_BLOCK = 8 * 2**20  # bytes


class CapturedRun:
    """Text keys and values of the chosen layers, for each entry of the conditioning and each model call.

    A call is found again by its noise level and by how often the entry was evaluated at that level, so that it does not matter
    whether the sampler calls the model once or several times a step, or ComfyUI splits a call to save memory. Memory: calls x
    layers x 2 x entries x tokens x channels, 115 MB for SD3-medium's layer 10 at 28 steps and 333 tokens in 16 bit.
    """

    def __init__(self):
        self._calls = {}  # entry -> {sigma: [{layer: (k, v[, mask])}, ...]}
        self._bytes = 0
        self._free = {}  # (shape, type, device) -> room for copies

    def new_call(self, entry, sigma):
        """The record of one more call, for `keep` to fill."""
        record = {}
        self._calls.setdefault(entry, {}).setdefault(sigma, []).append(record)
        return record

    def keep(self, record, layer, parts):
        """Keeps copies of a layer's keys and values, and of their mask if there is one."""
        size = sum(t.numel() * t.element_size() for t in parts)
        device = parts[0].device
        if self._bytes + size > ON_DEVICE:
            device = comfy.model_management.unet_offload_device()
        else:
            self._bytes += size
        record[layer] = tuple(self._room(t, device).copy_(t.detach()) for t in parts)

    def _room(self, tensor, device):
        # Small tensors that stay between the sampler's large ones would make the heap of a CPU shrink and grow with every call.
        free = self._free.setdefault((tensor.shape, tensor.dtype, device), [])
        if not free:
            count = max(1, _BLOCK // (tensor.numel() * tensor.element_size()))
            free.extend(torch.empty((count, *tensor.shape), dtype=tensor.dtype, device=device))
        return free.pop()

    def has(self, layer):
        """Whether any call went through the layer."""
        return any(layer in record for levels in self._calls.values() for calls in levels.values() for record in calls)

    def get(self, entry, sigma, occurrence, layers):
        """{layer: keys and values} of the same call of the target's run.

        A sampler that chooses its own noise levels (dpm_adaptive) gets the nearest one, and so does a call that a cache left out of
        the target's run (EasyCache), wholly or from some layer on."""
        found = {layer: self._nearest(self._calls.get(entry, {}), sigma, occurrence, layer) for layer in layers}
        return {layer: parts for layer, parts in found.items() if parts is not None}

    def _nearest(self, levels, sigma, occurrence, layer):
        having = [level for level, calls in levels.items() if any(layer in record for record in calls)]
        if not having:
            return None
        calls = levels[min(having, key=lambda level: abs(level - sigma))]
        return min((abs(number - occurrence), number, record[layer]) for number, record in enumerate(calls) if layer in record)[2]
