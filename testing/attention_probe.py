"""ComfyUI's attention function, looked into and changed without anything of patching/: what judges it.

recorded   every call of the attention function in a call of the model while the block runs
replayed   the same, with parts of each call's q, k and v taken from recorded ones
"""

import functools
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from comfy.ldm.modules.attention import wrap_attn

_NAMES = ("optimized_attention", "optimized_attention_masked", "attention_pytorch", "attention_basic")


@dataclass
class Call:
    """sides: which halves of CFG the model is called for, 0 the positive one; modules: paths of the modules at work, outermost first;
    q, k, v: [B, heads, tokens, d]; mask: as the model gave it."""

    sides: tuple[int, ...]
    modules: tuple[str, ...]
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    mask: torch.Tensor | None


def recorded(diffusion_model):
    """A list of Call that grows while the block runs."""
    return _watched(diffusion_model, lambda call: call)


def replayed(diffusion_model, change):
    """change(Call) -> Call is what the attention function gets instead."""
    return _watched(diffusion_model, change)


@contextmanager
def _watched(diffusion_model, change):
    calls, stack, sides = [], [], []
    paths = {module: name for name, module in diffusion_model.named_modules()}

    def watching(function):
        @wrap_attn
        @functools.wraps(function)
        def watched(q, k, v, heads, mask=None, attn_precision=None, skip_reshape=False, skip_output_reshape=False, **kwargs):
            def split(x):
                if skip_reshape:
                    return x
                return (x if x.ndim == 4 else x.unflatten(2, (heads, -1))).transpose(1, 2)

            kwargs.pop("_inside_attn_wrapper", None)
            if stack[:1] != [diffusion_model]:  # a part of the model at work before it is called, on the text alone
                return function(
                    q, k, v, heads, mask=mask, attn_precision=attn_precision, skip_reshape=skip_reshape,
                    skip_output_reshape=skip_output_reshape, _inside_attn_wrapper=True, **kwargs,
                )  # fmt: skip
            call = Call(tuple(sides), tuple(paths[m] for m in stack), *(split(x).clone() for x in (q, k, v)), mask)
            call = change(call)
            calls.append(call)
            return function(
                call.q, call.k, call.v, heads, mask=call.mask, attn_precision=attn_precision, skip_reshape=True,
                skip_output_reshape=skip_output_reshape, _inside_attn_wrapper=True, **kwargs,
            )  # fmt: skip

        return watched

    replaced = []
    for module in [m for name, m in sys.modules.items() if name.startswith("comfy.ldm")]:
        for name in _NAMES:
            function = module.__dict__.get(name)
            if function is not None and module.__name__ != "comfy.ldm.modules.attention":
                replaced.append((module, name, function))
    attention = sys.modules["comfy.ldm.modules.attention"]
    replaced += [(attention, name, getattr(attention, name)) for name in _NAMES[:2]]

    def leave(module, *_):
        stack.pop()  # what a hook returns would be taken for the module's output

    def called(module, args, kwargs):
        sides[:] = kwargs["transformer_options"]["cond_or_uncond"]

    def entered(module, method):
        """Of a module that has no forward, for which torch's hooks are not called."""

        def around(*args, **kwargs):
            stack.append(module)
            try:
                return method(*args, **kwargs)
            finally:
                stack.pop()

        return around

    hooks = [diffusion_model.register_forward_pre_hook(called, with_kwargs=True)]
    hooks += [m.register_forward_pre_hook(lambda m, *_: stack.append(m)) for m in paths]
    hooks += [m.register_forward_hook(leave, always_call=True) for m in paths]
    methods = [(m, name) for m in paths if type(m).forward is torch.nn.Module.forward for name in dir(m) if name.startswith("forward_")]
    for module, name, function in replaced:
        setattr(module, name, watching(getattr(function, "__wrapped__", function)))
    for module, name in methods:
        setattr(module, name, entered(module, getattr(module, name)))
    try:
        yield calls
    finally:
        for module, name in methods:
            delattr(module, name)
        for module, name, function in replaced:
            setattr(module, name, function)
        for handle in hooks:
            handle.remove()
