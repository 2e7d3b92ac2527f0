"""Weights that autograd does not keep: the same gradients, to the last bit, with less."""

from contextlib import nullcontext

import pytest
import torch
from text_layers.lora.adapters import adapters
from text_layers.lora.examples import encoded, given, loss
from text_layers.patching import models
from text_layers.patching.frozen import unkept
from text_layers.patching.saved_tensors import in_training
from text_layers.testing.tiny_models import MODELS

TINY = {tiny.kind: tiny for tiny in MODELS}


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def step(tiny, dtype, around):
    """(gradients of the adapters, bytes that autograd kept beside the model's own weights, bytes of those with one dimension)"""
    model = tiny.build(dtype, torch.bfloat16)
    weights = list(model.model.diffusion_model.parameters())
    own = {w.untyped_storage().data_ptr() for w in weights}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    latents, noise = random(1, 1, *tiny.latent), random(2, 1, *tiny.latent)
    conds = given(model, [encoded(model, tiny.conditioning(0), latents)])
    layers = models.written(model, "0")
    with around(model.model.diffusion_model), in_training(), adapters(model, layers, 2, 2, seed=0) as added:
        for seed, p in enumerate(added.parameters()):
            with torch.no_grad():
                p.copy_(0.1 * random(100 + seed, *p.shape))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            value = loss(model, latents, noise, torch.tensor([0.7]), conds)
        value.backward()
        return [p.grad for p in added.parameters()], sum(kept.values()), sum(2 * w.numel() for w in weights if w.ndim == 1)


@pytest.mark.parametrize("kind", ["Flux", "SD3"])
def test_gradients_through_fp8_weights_are_the_same_and_no_copies_of_weights_are_kept(kind):
    """Kept is what a model of bfloat16 keeps, whose weights need no copies; those of norms are, which are small."""
    expected, with_copies, _ = step(TINY[kind], torch.float8_e4m3fn, lambda model: nullcontext())
    found, kept, small = step(TINY[kind], torch.float8_e4m3fn, unkept)
    _, plain, _ = step(TINY[kind], torch.bfloat16, lambda model: nullcontext())
    assert all(a.equal(b) for a, b in zip(found, expected, strict=True)) and any(a.any() for a in found)
    assert kept <= plain + small
    assert with_copies > kept + 2 * small


class Quantized(torch.Tensor):
    """A weight that has to be turned before use, in whichever way."""

    @staticmethod
    def __new__(cls, weight):
        return torch.Tensor._make_subclass(cls, weight)

    def dequantize(self):
        return 2 * self.as_subclass(torch.Tensor)


class Turning(Quantized):
    """One that a product turns by itself."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.nn.functional.linear:
            args = [arg.dequantize() if isinstance(arg, Quantized) else arg for arg in args]
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_quantized_weight_goes_into_its_product_as_it_is():
    import comfy.ops

    class Projection(comfy.ops.manual_cast.Linear):
        def forward_comfy_cast_weights(self, x):
            return torch.nn.functional.linear(x, Turning(self.weight), self.bias)

    x, layer = random(0, 2, 5, 3).requires_grad_(), Projection(3, 4)
    layer.weight, layer.bias = (torch.nn.Parameter(random(2 + len(s), *s), requires_grad=False) for s in ((4, 3), (4,)))
    layer(x).square().sum().backward()
    expected, x.grad = x.grad, None
    with unkept(torch.nn.ModuleList([layer])):
        layer(x).square().sum().backward()
    assert x.grad.allclose(expected, rtol=1e-6) and expected.any()


def test_whatever_is_multiplied_is_the_weight():
    """A smoothed, quantized projection, as ComfyUI has them, and one that multiplies twice, which cannot be taken back."""
    import comfy.ops

    class Projection(comfy.ops.manual_cast.Linear):
        def forward_comfy_cast_weights(self, x):
            return torch.nn.functional.linear(x * self.pre_quant_scale, Quantized(self.weight).dequantize(), self.bias)

    class Twice(comfy.ops.manual_cast.Linear):
        def forward_comfy_cast_weights(self, x):
            return super().forward_comfy_cast_weights(x) + super().forward_comfy_cast_weights(x)

    x = random(0, 2, 5, 3).requires_grad_()
    good, bad = Projection(3, 4), Twice(3, 4)
    good.pre_quant_scale = random(1, 3)
    for layer in (good, bad):
        layer.weight, layer.bias = (torch.nn.Parameter(random(2 + len(s), *s), requires_grad=False) for s in ((4, 3), (4,)))
    good(x).square().sum().backward()
    expected, x.grad = x.grad, None
    with unkept(torch.nn.ModuleList([good, bad])):
        good(x).square().sum().backward()
        assert x.grad.allclose(expected, rtol=1e-6)
        with pytest.raises(ValueError, match="no single product"):
            bad(x).sum().backward()
    assert "forward" not in vars(good)


def test_convolutions_too():
    import comfy.ops

    layer = comfy.ops.manual_cast.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    layer.weight = torch.nn.Parameter(random(1, 6, 2, 3, 3).to(torch.float8_e4m3fn), requires_grad=False)
    layer.bias = torch.nn.Parameter(random(2, 6), requires_grad=False)
    x = random(0, 2, 4, 9, 8).requires_grad_()
    layer(x).square().sum().backward()
    expected, x.grad = x.grad, None
    saved = []
    with unkept(torch.nn.ModuleList([layer])), torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        out = layer(x)
    assert not saved
    out.square().sum().backward()
    assert x.grad.equal(expected)
