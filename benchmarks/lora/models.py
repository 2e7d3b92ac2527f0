"""Models by the names that lists of LoRA files give them.

model_of    "demo unet", "demo mmdit" or a tiny random model of benchmarks.families -> (MODEL, CLIP or None, text layers)
"""

import functools

from ...demo import comfy_model
from ...patching import models
from ...testing.tiny_models import MODELS


@functools.cache
def model_of(name):
    """The text layers that are known for it, and all of them where none are. Raises ValueError for a name that is none."""
    served = [tiny for tiny in MODELS if tiny.family and tiny.exists]
    fits = [tiny for tiny in served if name == tiny.kind] or [tiny for tiny in served if name in tiny.models.split(", ")]
    demo = name.removeprefix("demo ")
    if fits:
        model, clip = fits[0].build(), None
    elif demo in comfy_model.MODELS and demo != name:
        model, clip, _ = comfy_model.load(demo)
    else:
        raise ValueError(
            f"{name} is no model: take {', '.join(f'demo {m}' for m in comfy_model.MODELS)}, or a class of benchmarks.families."
        )
    return model, clip, models.known(model) or models.written(model, f"0-{len(models.layer_names(model)) - 1}")
