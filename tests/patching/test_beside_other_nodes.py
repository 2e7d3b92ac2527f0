"""Our node before and after nodes and packs that patch the same model: testing/other_nodes.py lists them."""

import comfy.patcher_extension
import pytest
import torch
from comfy_extras.nodes_model_merging import ModelMergeSimple
from text_layers.patching import models
from text_layers.patching.patch import METHODS
from text_layers.testing import other_nodes
from text_layers.testing.other_nodes import NODES, STAND_INS
from text_layers.testing.tiny_models.model import OLD

from .beside import INDEX, STEPS, bench, differs, plain

OTHERS = NODES + STAND_INS


def cases(wanted):
    found = []
    for other in OTHERS:
        marks = [pytest.mark.needs_comfyui(other.needs)] if other.needs else []
        models = other_nodes.EVERY if other.hook not in other_nodes.OUTSIDE else (other_nodes.U_NET, other_nodes.FLUX)
        models = [name for name in models if wanted(other, name)]
        # With the oldest ComfyUI one model each: what could differ there is how ComfyUI calls the other node.
        found += [pytest.param(other, name, marks=marks, id=f"{other.name}-{name}") for name in models[: 1 if OLD else None]]
    return found


@pytest.mark.parametrize(("other", "name"), cases(lambda other, name: name in other.on))
def test_before_and_after(other, name):
    late = any(word in other.name.lower() for word in ("cache", "temporal"))  # does little before the third step
    beside, steps = bench(name), STEPS if late else 2

    def draw(model):
        return beside.draw(model, steps=steps)

    with_other = other.patch(beside.model, beside)
    alone = draw(with_other)
    assert differs(alone, plain(name, steps)), "the other node does something here"
    for method in METHODS[:1] if other.own_run else beside.methods:
        same = beside.edit(with_other, beside.source, beside.everything(), method)
        assert torch.equal(draw(same), alone)
        before = draw(beside.edit(with_other, method=method))
        after = draw(other.patch(beside.edit(beside.model, method=method), beside))
        assert torch.equal(before, after)
        assert differs(before, alone)
    assert torch.equal(draw(beside.model), plain(name, steps))


@pytest.mark.parametrize(("other", "name"), cases(lambda other, name: name not in other.on + other.fails))
def test_without_effect_on_this_model(other, name):
    """But for guidance that adds a difference of nothing, in floating point: 1e-5 of the largest value."""
    beside, unpatched = bench(name), plain(name, 2)
    assert (beside.draw(other.patch(beside.model, beside), steps=2) - unpatched).abs().max() <= 1e-5 * unpatched.abs().max()


def test_the_patched_layer_attends_to_the_targets_keys_as_the_other_node_makes_them():
    """Keys and values of the patched layer are those of a run of the target with the same other node."""
    beside = bench("sdxl")

    def keys_and_values(model, positive):
        layer, seen = model.model.diffusion_model.get_submodule(models.layer_names(model)[INDEX]), []
        handles = [m.register_forward_hook(lambda _, __, out: seen.append(out.clone())) for m in (layer.to_k, layer.to_v)]
        beside.draw(model, positive, steps=1)
        for handle in handles:
            handle.remove()
        return seen

    # Not an attention of another module, nor one with rows of its own.
    seen_as_it_is = (other_nodes.lora, other_nodes.ip_adapter, other_nodes.hypernetwork, other_nodes.attention_function)
    for patch in (*seen_as_it_is, *(other.patch for other in NODES if other.name.startswith("FreeU"))):
        other = patch(beside.model, beside)
        target = keys_and_values(other, beside.target)
        edit = keys_and_values(beside.edit(other), beside.source)
        source = keys_and_values(other, beside.source)
        assert len(target) == 2 and all(map(torch.equal, edit, target)) and not any(map(torch.equal, edit, source))


def test_single_heads_under_an_ip_adapter_are_refused():
    beside = bench("sdxl")
    with pytest.raises(ValueError, match="single heads cannot be patched"):
        beside.draw(beside.edit(other_nodes.ip_adapter(beside.model, beside), indices=f"{INDEX}:0"))


def test_a_region_keeps_its_own_prompt():
    """Attention Couple: in the text layers the target takes the place of the base prompt, as it would alone."""
    beside = bench("sdxl")
    coupled = other_nodes.attention_couple(beside.model, beside)
    k = []
    layer = beside.model.model.diffusion_model.get_submodule(models.layer_names(beside.model)[INDEX])
    handle = layer.to_k.register_forward_pre_hook(lambda _, args: k.append(args[0].clone()))
    try:
        beside.draw(coupled, steps=1)
        beside.draw(beside.edit(coupled), steps=1)
    finally:
        handle.remove()
    source, edit = k
    changed = [not torch.equal(a, b) for a, b in zip(source, edit, strict=True)]
    texts = [beside.source[0][0], beside.target[0][0]]
    assert changed.count(True) == 1
    at = changed.index(True)
    assert torch.equal(source[at], texts[0][0]) and torch.equal(edit[at], texts[1][0])


def test_a_merge_takes_weights_of_its_second_model_and_nothing_else():
    beside = bench("sd3")
    second = other_nodes.lora(beside.model)
    merged = beside.draw(ModelMergeSimple().merge(beside.model, second, 0.4)[0])
    assert torch.equal(beside.draw(ModelMergeSimple().merge(beside.model, beside.edit(second), 0.4)[0]), merged)


@pytest.mark.parametrize("name", ["sdxl", "sd3"])
def test_an_unknown_node_in_front_does_not_lose_ours(name):
    """Nodes that clone the model, set another sampling and add wrappers of their own around the model's call."""
    beside = bench(name)
    edit = beside.draw(beside.edit(beside.model))
    wrapped = beside.edit(beside.model).clone()
    calls = []

    def count(executor, *args, **kwargs):
        calls.append(1)
        return executor(*args, **kwargs)

    for kind in (comfy.patcher_extension.WrappersMP.APPLY_MODEL, comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL):
        wrapped.add_wrapper_with_key(kind, "another pack", count)
    wrapped.set_model_unet_function_wrapper(lambda apply, args: apply(args["input"], args["timestep"], **args["c"]))
    assert torch.equal(beside.draw(wrapped), edit)
    assert calls
