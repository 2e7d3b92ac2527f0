"""Single heads of a U-Net beside patches of attn2 that change how many tokens of text there are."""

import pytest
import torch
from text_layers.patching import models

from .small import assert_same, small

pytestmark = pytest.mark.any_comfyui

LAYER = 2


def text_repeated(model):
    """Twice the same tokens, as Attention Couple brings prompts to one length: attention over them is unchanged."""
    patched = model.clone()
    patched.set_model_attn2_patch(lambda q, context, value, extra_options: (q, context.repeat(1, 2, 1), value.repeat(1, 2, 1)))
    return patched


def both_orders(bench, layers, target):
    yield text_repeated(bench.edit(target, layers=layers))
    yield bench.edit(target, text_repeated(bench.model), layers)


def targets(bench):
    """As long as the source, and shorter."""
    text, extra = bench.prompts[1][0]
    return {"same length": [[text, extra]], "shorter": [[text[:, :12], extra]]}


@pytest.mark.parametrize("length", ["same length", "shorter"])
def test_all_heads_by_number_are_the_whole_layer(length):
    bench = small("sdxl")
    name = models.layer_names(bench.model)[LAYER]
    count = models.family_of(bench.model).head_counts(bench.model.get_model_object("diffusion_model"))[name]
    target, plain = targets(bench)[length], bench.draw()
    whole = bench.draw(bench.edit(target, layers=f"{LAYER}"))
    for layers in (f"{LAYER}", f"{LAYER}:{'+'.join(map(str, range(count)))}"):
        for edit in both_orders(bench, layers, target):
            assert_same(bench.draw(edit), whole, plain)


@pytest.mark.parametrize("length", ["same length", "shorter"])
def test_one_head(length):
    bench = small("sdxl")
    target, plain = targets(bench)[length], bench.draw()
    alone = bench.draw(bench.edit(target, layers=f"{LAYER}:1"))
    assert not torch.equal(alone, bench.draw(bench.edit(target, layers=f"{LAYER}:0")))
    for edit in both_orders(bench, f"{LAYER}:1", target):
        assert_same(bench.draw(edit), alone, plain)
