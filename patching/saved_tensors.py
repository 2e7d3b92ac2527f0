"""What has to be so that autograd can go through a model of ComfyUI's.

changes_allowed        a context for forward and backward pass, where a model changes in place what is kept
in_training            one in which ComfyUI takes operations that autograd knows
leave_inference_mode   weights that autograd takes
forget_text            without what a model remembers of an earlier call
"""

from contextlib import contextmanager
from weakref import WeakKeyDictionary

import comfy.model_management
import torch
from torch.autograd.graph import allow_mutation_on_saved_tensors


@contextmanager
def changes_allowed():
    """torch's allow_mutation_on_saved_tensors, which gives each kept tensor back as it was.

    It knows them by their Python id, address and version, and lets go of one that has been changed. Another one that gets the same id and
    address, which is common where blocks free what they change, is then taken for it, and its gradient is wrong without a word. So that
    no id comes again, this one lets go of none before the backward pass has.
    """
    with allow_mutation_on_saved_tensors() as saved:
        if not isinstance(getattr(saved, "original", None), WeakKeyDictionary):
            raise RuntimeError(
                f"torch {torch.__version__} keeps what the backward pass needs in another way than this pack knows, and its gradients "
                "could be wrong without a word. Take an older torch (2.13 is known to be right), or a newer version of the pack."
            )
        saved.original = _Held()
        yield


class _Held(WeakKeyDictionary):
    def __delitem__(self, key):
        """torch calls it when it has made a copy; entries still go with their handles."""


@contextmanager
def in_training():
    """ComfyUI 0.3 has no others."""
    before = getattr(comfy.model_management, "in_training", False)
    comfy.model_management.in_training = True  # ty: ignore[invalid-assignment]  # it takes False for the only value
    try:
        yield
    finally:
        comfy.model_management.in_training = before  # ty: ignore[invalid-assignment]


def leave_inference_mode(diffusion_model):
    """Weights that were loaded in inference mode, as ComfyUI's nodes run, are replaced by equal ones, one after another."""
    for module in diffusion_model.modules():
        for name, p in module._parameters.items():
            if p is not None and p.is_inference():
                module._parameters[name] = torch.nn.Parameter(p.clone(), requires_grad=False)
        for name, b in module._buffers.items():
            if b is not None and b.is_inference():
                module._buffers[name] = b.clone()


def forget_text(model):
    """HiDream-O1 keeps its text's keys and values from call to call, whatever has changed in between."""
    if hasattr(model.model.diffusion_model, "clear_kv_cache"):
        model.model.diffusion_model.clear_kv_cache()
