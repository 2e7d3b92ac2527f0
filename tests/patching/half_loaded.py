import comfy.model_patcher


class HalfLoaded(comfy.model_patcher.ModelPatcher):
    """ComfyUI on a card that has room for half of the model. Without a GPU ComfyUI always has room: nothing but the budget is ours, and
    what is not loaded is patched and cast at each use, as on a card."""

    def partially_load(self, device_to, extra_memory=0, **more):
        room = self.model_size() // 2 - self.model.model_loaded_weight_memory
        return super().partially_load(device_to, min(extra_memory, max(0, room)), **more)
