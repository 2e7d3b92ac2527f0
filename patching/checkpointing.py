"""Gradient checkpointing of any diffusion model: less memory for more time. [Chen et al., 2016]

checkpointed    a context in which the model's blocks keep their inputs only and are computed again for the backward pass
"""

from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten


@contextmanager
def checkpointed(diffusion_model):
    blocks = _blocks(diffusion_model)
    before = [vars(block).get("forward") for block in blocks]
    for block in blocks:
        block.forward = _recomputed(block)
    try:
        yield
    finally:
        for block, own in zip(blocks, before, strict=True):
            del block.forward
            if own:
                block.forward = own


def _blocks(module, listed=False):
    """The highest modules with parameters inside lists and sequences, which is how ComfyUI's models hold their blocks."""
    found = []
    for child in module.children():
        if isinstance(child, (torch.nn.ModuleList, torch.nn.Sequential)):
            found += _blocks(child, True)
        elif not listed:
            found += _blocks(child)
        elif any(True for _ in child.parameters()):
            found.append(child)
    return found


def _recomputed(block):
    forward = block.forward

    def checkpointing(*args, **kwargs):
        given, arguments = _taken_apart((args, kwargs))
        # Nothing below the lowest trained layer has a gradient.
        if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*given, *block.parameters()))):
            return forward(*args, **kwargs)

        def run(tensors):
            # Blocks add in place to what they are given: they get copies.
            args, kwargs = _put_together([tensor.clone() for tensor in tensors], arguments)
            return _taken_apart(forward(*args, **kwargs))

        structure = []
        made = _Block.apply(run, structure, torch.zeros((), requires_grad=True), *given)
        return _put_together(made, *structure)

    return checkpointing


_TENSOR = object()


def _taken_apart(values):
    """(tensors, all the rest) of nested containers"""
    leaves, form = tree_flatten(values)
    return [leaf for leaf in leaves if torch.is_tensor(leaf)], ([_TENSOR if torch.is_tensor(leaf) else leaf for leaf in leaves], form)


def _put_together(tensors, rest):
    leaves, form = rest
    tensors = iter(tensors)
    return tree_unflatten([next(tensors) if leaf is _TENSOR else leaf for leaf in leaves], form)


class _Block(torch.autograd.Function):
    """A block that is computed again for its gradient. torch.utils.checkpoint does the same, but keeps what is computed again by
    reference, which ComfyUI's blocks overwrite; here the hooks of torch.autograd.graph.allow_mutation_on_saved_tensors apply.

    anchor: a tensor with a gradient; the first trained block has no other.
    """

    @staticmethod
    def forward(ctx, run, structure, anchor, *tensors):
        kind = tensors[0].device.type
        ctx.run = run
        on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        ctx.autocast = partial(torch.autocast, kind, torch.get_autocast_dtype(kind)) if on else nullcontext
        ctx.save_for_backward(*tensors)
        made, rest = run(tensors)
        structure.append(rest)
        return tuple(tensor.clone() if tensor._is_view() else tensor for tensor in made)  # the model may add to them in place

    @staticmethod
    def backward(ctx, *gradients):
        tensors = [
            tensor.detach().requires_grad_(needed) for tensor, needed in zip(ctx.saved_tensors, ctx.needs_input_grad[3:], strict=True)
        ]
        with torch.enable_grad(), ctx.autocast():
            made, _ = ctx.run(tensors)
        followed = [(tensor, gradient) for tensor, gradient in zip(made, gradients, strict=True) if tensor.requires_grad]
        if followed:
            outputs, of_outputs = zip(*followed, strict=True)
            torch.autograd.backward(outputs, of_outputs)
        return None, None, None, *(tensor.grad for tensor in tensors)
