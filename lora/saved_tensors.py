"""What autograd has kept for the backward pass, where a model changes it in place.

changes_allowed   a context for forward and backward pass
in_training       one in which ComfyUI takes operations that autograd knows
"""

from contextlib import contextmanager
from weakref import WeakKeyDictionary

import comfy.model_management
from torch.autograd.graph import allow_mutation_on_saved_tensors


@contextmanager
def changes_allowed():
    """torch's allow_mutation_on_saved_tensors, which gives each kept tensor back as it was.

    It knows them by their Python id, address and version, and lets go of one that has been changed. Another one that gets the same id and
    address, which is common where blocks free what they change, is then taken for it, and its gradient is wrong without a word. So that
    no id comes again, this one lets go of none before the backward pass has.
    """
    with allow_mutation_on_saved_tensors() as saved:
        saved.original = _Held()
        yield


class _Held(WeakKeyDictionary):
    def __delitem__(self, handle):
        """torch calls it when it has made a copy; entries still go with their handles."""


@contextmanager
def in_training():
    """ComfyUI 0.3 has no others."""
    before = getattr(comfy.model_management, "in_training", False)
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before
