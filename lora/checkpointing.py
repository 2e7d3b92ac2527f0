"""Gradient checkpointing of any diffusion model: less memory for more time. [Chen et al., 2016]

checkpointed    a context in which the model's blocks keep their inputs only and are computed again for the backward pass
"""

from contextlib import contextmanager

import torch
from torch.utils.checkpoint import checkpoint


@contextmanager
def checkpointed(diffusion_model):
    blocks = _blocks(diffusion_model)
    for block in blocks:
        block.forward = _recomputed(block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _blocks(module):
    """The highest modules inside lists and sequences, which is how ComfyUI's models hold their blocks."""
    found = []
    for child in module.children():
        if isinstance(child, (torch.nn.ModuleList, torch.nn.Sequential)):
            found += _members(child)
        else:
            found += _blocks(child)
    return found


def _members(sequence):
    found = []
    for child in sequence:
        nested = isinstance(child, (torch.nn.ModuleList, torch.nn.Sequential))
        found += _members(child) if nested else [child] if any(True for _ in child.parameters()) else []
    return found


def _recomputed(forward):
    def run(args, kwargs):
        # Some blocks add in place to what they are given; the second time they must be given the same.
        return forward(*_copied(args), **_copied(kwargs))

    def checkpointing(*args, **kwargs):
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        # The model goes on writing into its options, which must be the same as well.
        return checkpoint(run, _as_they_are(args), _as_they_are(kwargs), use_reentrant=False)

    return checkpointing


def _as_they_are(values):
    """Containers copied, tensors not."""
    if isinstance(values, dict):
        return {name: _as_they_are(value) for name, value in values.items()}
    if type(values) in (list, tuple):
        return type(values)(_as_they_are(value) for value in values)
    return values


def _copied(values):
    if isinstance(values, dict):
        return {name: _copied(value) for name, value in values.items()}
    if type(values) in (list, tuple):
        return type(values)(_copied(value) for value in values)
    return values.clone() if torch.is_tensor(values) else values
