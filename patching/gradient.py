"""How the weights of all text layers move a model's prediction: one forward and one backward pass, however many layers there are.

with_slope      MODEL -> MODEL whose next call is differentiated, and the Slope that it fills
Slope           a number made of the prediction, and its derivative by each layer's weight

Both passes lie inside one call of the model, where our functions stand in its attentions: a block that is computed again for the backward
pass goes through them once more. Nothing stays on the model.
"""

import math
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import comfy.model_management
import torch
from torch.utils._pytree import tree_map_only

from . import hook, models
from .checkpointing import checkpointed
from .comfy import add_row_wrapper
from .frozen import unkept
from .messages import NoGradient
from .saved_tensors import changes_allowed, forget_text, in_training, leave_inference_mode
from .sweep import Swap, swapped

_LARGE = 2**30  # bytes of weights; the blocks of a model that has more are computed again, which keeps its memory near that of sampling


@dataclass
class Slope:
    """value: of `measure`; by_layer: {name: its derivative by the layer's weight}; cost: of the backward pass, in calls of the model: one
    takes about two forward passes, and a third where blocks are computed again."""

    value: float | None = None
    by_layer: dict = field(default_factory=dict)
    cost: int = 0


def with_slope(model, weights, target, measure):
    """(a clone of MODEL for one row and the positive prompt alone, Slope). weights: {layer: how much of the target it takes}; target: as
    Swap.target, of a run that was kept or embeddings; measure(prediction [1, ...]) -> the number that is differentiated.

    Sampling the clone raises NoGradient where autograd cannot go through the model, or goes through a part of it only; an interruption
    is noticed in both passes.
    """
    family, slope = models.family_of(model), Slope()
    modules, called = hook.Modules(family), Counter()
    again = sum(p.numel() * p.element_size() for p in model.model.parameters()) > _LARGE

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        sides = list(transformer_options["cond_or_uncond"])
        if sides != [0] or len(x) != 1:
            raise NoGradient("another node makes of one call of the model a batch of several")
        if slope.by_layer:
            raise NoGradient("the sampler calls the model more than once for its first prediction")
        diffusion_model, passes = executor.class_obj.diffusion_model, Counter()
        with torch.inference_mode(False), torch.enable_grad(), in_training(), changes_allowed(), ExitStack() as stack:
            stack.enter_context(torch.autograd.set_multithreading_enabled(False))  # our functions stand in this thread's attentions
            leave_inference_mode(diffusion_model)
            by_layer = {name: torch.tensor(float(w), device=x.device, requires_grad=True) for name, w in weights.items()}

            def seen(name, out):
                passes[name] += 1
                if out.requires_grad:
                    out.register_hook(lambda gradient: comfy.model_management.throw_exception_if_processing_interrupted())
                return out

            rows = [Swap(tuple(weights), target, by_layer)]
            stack.enter_context(unkept(diffusion_model))
            options = stack.enter_context(swapped(modules, diffusion_model, rows, transformer_options, x, called, seen))
            if again:
                stack.enter_context(checkpointed(diffusion_model))
            given = tree_map_only(torch.Tensor, torch.clone, (x, t, c_concat, c_crossattn, control, kwargs))
            try:
                predicted = executor(*given[:5], options, **given[5])
                once = dict(passes)
                value = measure(predicted)
                value.backward()
            except comfy.model_management.InterruptProcessingException:  # an Exception in ComfyUI 0.3
                raise
            except Exception as error:  # of autograd, of a kernel or of the memory, each in its own way
                raise NoGradient(f"autograd cannot go through it ({str(error).splitlines()[0][:200]})") from error
            slope.by_layer = _checked(by_layer, once, passes, again)
            slope.value = float(value)
            slope.cost = 3 if again else 2
            return predicted.detach()

    differentiated = model.clone()
    add_row_wrapper(differentiated, around_call)
    forget_text(model)
    return differentiated, slope


def _checked(by_layer, once, passes, again):
    """The layers' slopes. A block that was computed again without our functions would give a wrong gradient without a word."""
    if missing := [name for name in by_layer if name not in once]:
        raise NoGradient(f"its call does not go through the text layer {missing[0]}")
    if again and any(passes[name] not in (count, 2 * count) for name, count in once.items()):
        raise NoGradient("its blocks cannot be computed again for the backward pass")
    slopes = {name: float(w.grad) for name, w in by_layer.items() if w.grad is not None}
    if missing := [name for name in by_layer if name not in slopes]:
        raise NoGradient(f"autograd does not reach the text layer {missing[0]}")
    if not all(map(math.isfinite, slopes.values())):
        raise NoGradient("it holds numbers that are none (NaN)")
    return slopes
