"""Gradients where what autograd has kept is changed in place and freed."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from text_layers.patching import saved_tensors
from text_layers.patching.saved_tensors import changes_allowed


def gradient(weight, scales, context):
    """Of the sum of exp(scale * weight) ** 2, whose factors are changed and freed as soon as they are multiplied."""
    with context():
        total = 0
        for scale in scales:
            factor = (weight * scale).exp()
            product = (factor * factor).sum()
            factor += 1
            del factor
            total = total + product
        (found,) = torch.autograd.grad(total, weight)
    return found


def test_another_tensor_in_the_same_place_is_not_taken_for_the_one_that_was_changed():
    """torch's own context is wrong by tens of percent here, in most runs; which places come again is the allocator's business."""
    for count in (64, 1000, 100_000):
        weight = torch.rand(count, generator=torch.Generator().manual_seed(0)).requires_grad_()
        scales = torch.rand(60, generator=torch.Generator().manual_seed(1)).tolist()
        expected = sum(2 * scale * (2 * scale * weight.detach()).exp() for scale in scales)
        torch.testing.assert_close(gradient(weight, scales, changes_allowed), expected)  # float32's usual tolerance


def test_nothing_is_held_after_the_backward_pass():
    import gc
    import weakref

    weight = torch.ones(3).requires_grad_()
    with changes_allowed():
        factor = weight * 2
        kept, total = weakref.ref(factor), (factor**2).sum()
        factor.add_(5)
        del factor
        assert kept() is not None
        total.backward()
        del total
        gc.collect()
        assert kept() is None
    torch.testing.assert_close(weight.grad, torch.full((3,), 8.0))


def test_a_torch_that_keeps_them_in_another_way_is_refused(monkeypatch):
    """What would be put into it would do nothing there, and gradients would be wrong without a word."""
    monkeypatch.setattr(saved_tensors, "allow_mutation_on_saved_tensors", contextmanager(lambda: (yield SimpleNamespace(kept={}))))
    with pytest.raises(RuntimeError, match=r"^torch \d\S+ keeps what the backward pass needs in another way"), changes_allowed():
        pass
