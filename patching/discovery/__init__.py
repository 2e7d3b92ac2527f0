"""Text layers of models that nobody has written an adapter for: found by looking at the model, and checked on it.

look_at   does so, unless the model is known
said      a line about it, for people
"""

import comfy.model_management
import comfy.utils

from .. import models
from ..comfy import is_out_of_memory
from ..messages import plain
from .checks import check
from .look import FoundFamily, look
from .place import Unclear
from .probe import Probe

_CALLS = 90  # of the model, about


def look_at(model, conditioning):
    """After it, the family of a MODEL is known (models.family_of). conditioning: a prompt of the model, whatever it says; without one
    nothing is done. Takes about a hundred calls of the model on a small picture, and moves the progress bar of the node that runs.

    Raises ValueError where its text layers cannot be told, or a check fails on them.
    """
    diffusion_model = model.get_model_object("diffusion_model")
    kind = type(diffusion_model)
    if models.is_known(model) or models.unservable(model) or not conditioning:
        return
    bar = comfy.utils.ProgressBar(_CALLS)
    probe = Probe(model, lambda: bar.update(1))
    try:
        found = look(probe, conditioning)
        models.FOUND[diffusion_model] = found.family
        check(probe, found)
    except BaseException as error:
        models.FOUND.pop(diffusion_model, None)
        interrupted = isinstance(error, comfy.model_management.InterruptProcessingException) or not isinstance(error, Exception)
        if interrupted or is_out_of_memory(error):
            raise
        why = str(error) if isinstance(error, Unclear) else f"calling it failed ({plain(error)})"
        raise ValueError(
            f"Text layers of {type(model.model).__name__} models ({kind.__name__}) are not supported by name, and looking at this one has "
            f"not found them: {why}."
        ) from error


def said(model):
    """Of a model that was looked at; "" for others."""
    family = models.family_of(model)
    return "\nFound by looking, checked on this model." if isinstance(family, FoundFamily) else ""
