"""Frozen weights that the backward pass does not keep.

Autograd keeps the weight that a projection was computed with. Where that is a copy (an fp8 or another quantized weight turned into
bfloat16, one that lies in the computer's memory and was moved to the card for the moment, one that autocast has turned) it keeps all of
these copies at once, or a buffer that the next layer's weight overwrites.

unkept      a context in which the projections and convolutions of a model turn their weights again for the backward pass
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode

# Whose forward is one product and nothing else; classes that inherit it, as those for GGUF files do, are meant too.
_HOMES = ("comfy.ops", "torch.nn.modules.linear", "torch.nn.modules.conv")


@contextmanager
def unkept(diffusion_model):
    """Gradients are the same. What has trainable weights, or a forward of its own, stays as it is."""
    layers = [module for module in diffusion_model.modules() if _is_one_product(module)]
    for layer in layers:
        layer.forward = _without_weight(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _is_one_product(module):
    flat = hasattr(module, "out_features")
    if not (flat or isinstance(module, torch.nn.Conv2d)) or "forward" in vars(module) or type(module).forward.__module__ not in _HOMES:
        return False
    return flat or module.padding_mode == "zeros"


def _without_weight(layer):
    forward = layer.forward

    def frozen(x, *args, **kwargs):
        plain = type(x) is torch.Tensor and not args and not kwargs
        trained = any(p.requires_grad for p in layer.parameters(recurse=False))
        if not (plain and torch.is_grad_enabled() and x.requires_grad) or trained:
            return forward(x, *args, **kwargs)
        return _Frozen.apply(layer, forward, x)

    return frozen


class _Frozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layer, forward, x):
        ctx.layer, ctx.forward = layer, forward
        ctx.shape, ctx.dtype = x.shape, x.dtype
        out = forward(x)
        return torch.ops.aten._unsafe_view(out, out.shape) if out._is_view() else out  # the model may add to it in place

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        # The layer runs again, so that its weight is turned as it was, and the product is taken out of it, while the weight is there.
        with torch.no_grad(), _PulledBack(gradient) as pulled:
            ctx.forward(gradient.new_empty(ctx.shape, dtype=ctx.dtype))
        if len(pulled.found) != 1:
            raise ValueError(f"{type(ctx.layer).__name__} layers cannot be trained through: they are no single product.")
        found = pulled.found[0].reshape(ctx.shape).to(ctx.dtype)
        scale = getattr(ctx.layer, "pre_quant_scale", None)  # of ModelOpt's checkpoints, by which ComfyUI multiplies what comes in
        return None, None, found if scale is None else found * scale.to(found)


class _PulledBack(TorchFunctionMode):
    """In place of a product, computes the gradient of what goes into it."""

    def __init__(self, gradient):
        super().__init__()
        self._gradient, self.found = gradient, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.linear:
            return self._linear(*args, **(kwargs or {}))
        if func is F.conv2d:
            return self._conv2d(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _linear(self, input, weight, bias=None):
        weight = self._plain(weight)
        self.found.append(self._gradient.flatten(0, -2) @ weight)
        return input.new_empty(*input.shape[:-1], len(weight), dtype=self._gradient.dtype)

    def _conv2d(self, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        weight = self._plain(weight)
        self.found.append(conv2d_input(input.shape, weight, self._gradient, stride, padding, dilation, groups))
        return torch.empty_like(self._gradient)

    def _plain(self, weight):
        if type(weight) not in (torch.Tensor, torch.nn.Parameter):
            weight = weight.dequantize()
        return weight.to(self._gradient.dtype)
