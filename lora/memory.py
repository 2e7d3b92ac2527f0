"""How much memory a training step takes, counted before the first one.

counted     bytes beside the model's weights, for given examples
Peak        the most bytes that tensors made meanwhile held at once
"""

import copy
import weakref
from contextlib import nullcontext

import comfy.model_patcher
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

from .adapters import adapters
from .checkpointing import checkpointed
from .examples import Example, mean_loss
from .frozen import unkept
from .saved_tensors import changes_allowed, in_training

_NOWHERE = torch.device("meta")


def counted(model, examples, text_layers, settings, checkpointing):
    """The step runs on tensors that have shapes and no memory, with torch's attention and autocast as they are on a card: the LoRA, its
    gradients and optimizer, what the forward pass keeps, and what both passes hold for the moment. examples: of one step, all of one
    shape.

    Raises what the model raises where it asks for a tensor's values.
    """
    nowhere = _nowhere(model)
    diffusion_model = nowhere.model.diffusion_model
    examples = [_moved(example) for example in examples]
    with Peak() as peak, _AsOnCard(settings.low_precision), in_training(), changes_allowed(), torch.enable_grad():
        with (
            unkept(diffusion_model),
            checkpointed(diffusion_model) if checkpointing else nullcontext(),
            adapters(nowhere, text_layers, settings.rank, settings.rank, seed=0) as added,
        ):
            moments = [torch.zeros_like(p) for p in added.parameters() for _ in range(2)]
            mean_loss(nowhere, examples).backward()
            del moments
    return peak.bytes


class Peak(TorchDispatchMode):
    """bytes: so far"""

    def __init__(self):
        super().__init__()
        self.bytes = self.now = 0
        self._seen = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {id(t.untyped_storage()) for t in tree_iter((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self._seen and id(storage) not in given:
                    self._add(storage)
        return out

    def _add(self, storage):
        key, size = id(storage), storage.nbytes()
        self._seen[key] = weakref.ref(storage, lambda _: self._remove(key, size))
        self.now += size
        self.bytes = max(self.bytes, self.now)

    def _remove(self, key, size):
        del self._seen[key]
        self.now -= size


class _AsOnCard(TorchFunctionMode):
    """Attention in one kernel, which keeps no scores; with low_precision, the types that autocast takes. Tensors without memory have
    neither."""

    def __init__(self, low_precision):
        super().__init__()
        self._low_precision = low_precision

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._low_precision and func in _LOW:
            args, kwargs = _cast((args, kwargs), torch.bfloat16)
        if self._low_precision and func in _HIGH:
            args, kwargs = _cast((args, kwargs), torch.float32)
        return _Fused.apply(*args[:3]) if func is F.scaled_dot_product_attention else func(*args, **kwargs)


_LOW = {F.linear, F.conv2d, F.conv3d, F.scaled_dot_product_attention, torch.matmul, torch.bmm, torch.baddbmm, torch.Tensor.__matmul__}
_HIGH = {F.layer_norm, F.group_norm, F.softmax, F.normalize, F.mse_loss}


def _cast(values, dtype):
    return tree_map_only(torch.Tensor, lambda t: t.to(dtype) if t.is_floating_point() else t, values)


class _Fused(torch.autograd.Function):
    """q, k, v: [rows, heads, tokens, channels]"""

    @staticmethod
    def forward(ctx, q, k, v):
        rows, heads, tokens, _ = q.shape
        out = q.new_empty(rows, tokens, heads, v.shape[-1]).transpose(1, 2)
        ctx.save_for_backward(q, k, v, out, q.new_empty(rows, heads, tokens, dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, _, _ = ctx.saved_tensors
        torch.empty_like(q, dtype=torch.float32)  # in which the kernel adds up the queries' gradient
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _nowhere(model):
    """A MODEL like `model` whose weights take no memory."""
    own, memo = model.model, {}
    for name in ("model_config", "current_patcher"):
        if hasattr(own, name):
            memo[id(getattr(own, name))] = getattr(own, name)
    memo |= {id(p): torch.nn.Parameter(_like(p), requires_grad=False) for p in own.parameters()}
    memo |= {id(b): _like(b) for b in own.buffers()}
    twin = copy.deepcopy(own, memo)
    for module in twin.modules():
        if hasattr(module, "layout_type"):
            module.layout_type = None  # quantized weights are plain ones here
    found = comfy.model_patcher.ModelPatcher(twin, load_device=_NOWHERE, offload_device=_NOWHERE)
    found.model_options = copy.copy(model.model_options)
    return found


def _like(tensor):
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=_NOWHERE)


def _moved(example):
    conds = {name: c._copy_with(tree_map_only(torch.Tensor, _like, c.cond)) for name, c in example.cond["model_conds"].items()}
    return Example(*map(_like, (example.latent, example.noise, example.sigma)), {**example.cond, "model_conds": conds})
