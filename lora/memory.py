"""How much memory a training step takes, counted before the first one.

counted     bytes beside the model's weights, for given examples
Peak        the most bytes that tensors made meanwhile held at once
"""

import copy
import weakref
from contextlib import contextmanager, nullcontext

import comfy.model_patcher
import torch
import torch.nn.functional as F
from comfy.ldm.modules.attention import attention_pytorch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

from ..patching.checkpointing import checkpointed
from ..patching.frozen import unkept
from ..patching.saved_tensors import changes_allowed, in_training
from .adapters import adapters
from .examples import Example, mean_loss
from .precision import in_full

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
    with Peak() as peak, _AsOnCard(settings.low_precision), in_training(), _told_apart(), changes_allowed(), torch.enable_grad():
        with (
            nullcontext() if settings.low_precision else in_full(nowhere),
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


@contextmanager
def _told_apart():
    """For changes_allowed: torch tells kept tensors apart by their addresses, and all that have no memory have the same."""
    graph = torch.autograd.graph
    before = graph._get_tid, graph._get_sid

    def address(tensor):
        return tensor.untyped_storage()._cdata + tensor.storage_offset() * tensor.element_size()

    graph._get_tid = lambda tensor: (id(tensor), address(tensor), tensor._version)
    graph._get_sid = lambda tensor: (address(tensor), tensor._version)
    try:
        yield
    finally:
        graph._get_tid, graph._get_sid = before


class _AsOnCard(TorchFunctionMode):
    """Attention and RMS norms in one kernel each, which keep no scores and no steps in between; with low_precision, the types that autocast
    takes. Tensors without memory have none of these."""

    def __init__(self, low_precision):
        super().__init__()
        self._low_precision = low_precision

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.Tensor.backward, torch.autograd.backward):
            with self:  # blocks run again
                return _backward(*args)
        if self._low_precision and func in _LOW:
            args, kwargs = _cast((args, kwargs), torch.bfloat16)
        if self._low_precision and func in _HIGH:
            args, kwargs = _cast((args, kwargs), torch.float32)
        if func is F.scaled_dot_product_attention:
            return _Attention.apply(*args[:3])
        if func is F.rms_norm and hasattr(torch.ops.aten, "_fused_rms_norm"):
            return _RmsNorm.apply(args[0])
        return func(*args, **kwargs)


def _backward(tensors, gradients=None):
    """torch.autograd.backward, which no mode of functions can stay on in."""
    tensors = (tensors,) if isinstance(tensors, torch.Tensor) else tensors
    gradients = gradients or [torch.ones_like(t) for t in tensors]
    torch.autograd.Variable._execution_engine.run_backward(
        tuple(tensors), tuple(gradients), False, False, (), allow_unreachable=True, accumulate_grad=True
    )


_LOW = {F.linear, F.conv2d, F.conv3d, F.scaled_dot_product_attention, torch.matmul, torch.bmm, torch.baddbmm, torch.Tensor.__matmul__}
_HIGH = {F.layer_norm, F.group_norm, F.softmax, F.normalize, F.mse_loss}


def _cast(values, dtype):
    return tree_map_only(torch.Tensor, lambda t: t.to(dtype) if t.is_floating_point() else t, values)


class _Attention(torch.autograd.Function):
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


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x, x.new_empty(*x.shape[:-1], 1, dtype=torch.float32))
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx, gradient):
        return torch.empty_like(gradient)


def _nowhere(model):
    """A MODEL like `model` whose weights take no memory."""
    own, memo = model.model, {}
    for name in ("model_config", "current_patcher"):
        if hasattr(own, name):
            memo[id(getattr(own, name))] = getattr(own, name)
    # Places on the card and in the computer's memory, which ComfyUI gives to weights.
    places = [vars(module).get(name) for module in own.modules() for name in ("_v", "_v_weight", "_v_bias", "_prefetch", "_pins")]
    memo |= {id(place): None for place in places if place is not None and not isinstance(place, int)}
    memo |= {id(p): torch.nn.Parameter(_like(p), requires_grad=False) for p in own.parameters()}
    memo |= {id(b): _like(b) for b in own.buffers()}
    twin = copy.deepcopy(own, memo)
    for module in twin.modules():
        if hasattr(module, "layout_type"):
            module.layout_type = None  # quantized weights are plain ones here
    found = comfy.model_patcher.ModelPatcher(twin, load_device=_NOWHERE, offload_device=_NOWHERE)
    # Without what others have hooked in, which may remember calls.
    found.model_options = {"transformer_options": {"optimized_attention_override": torch_attention}}
    return found


def torch_attention(_, *args, **kwargs):
    return attention_pytorch(*args, **kwargs)


def _like(tensor):
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=_NOWHERE)


def _moved(example):
    conds = {name: c._copy_with(tree_map_only(torch.Tensor, _like, c.cond)) for name, c in example.cond["model_conds"].items()}
    return Example(*map(_like, (example.latent, example.noise, example.sigma)), {**example.cond, "model_conds": conds})
