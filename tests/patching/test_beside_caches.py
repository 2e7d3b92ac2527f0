"""Nodes that leave out calls of the model: what the target's own run lacks must not move what the source's run gets."""

import comfy.patcher_extension
import pytest
import torch
from comfy_extras.nodes_easycache import EasyCacheNode
from text_layers.patching import models
from text_layers.patching.patch import METHODS
from text_layers.testing.beside import INDEX, bench, plain
from text_layers.testing.other_nodes import node

STEPS = 5
LEFT_OUT = ({1, 3}, {2})  # steps that the target's run and the source's lack
FLUX_TEXT = 10  # tokens


class Skipping:
    """A cache that leaves out other calls in each sampling run, as one does that looks at the latents.

    where: WrappersMP.DIFFUSION_MODEL, inside the call of the model as ours sees it, or APPLY_MODEL, around it."""

    def __init__(self, model, where):
        self.runs, self.output = [], None  # of each run the noise levels
        self.model = model.clone()
        self.model.add_wrapper_with_key(where, "a cache", self)

    def __deepcopy__(self, memo):
        return self  # ComfyUI 0.3 copies a model's options deeply

    def __call__(self, executor, x, t, *args, **kwargs):
        if not self.runs or float(t[0]) > self.runs[-1][-1]:
            self.runs.append([])
        run = self.runs[-1]
        run.append(float(t[0]))
        if len(run) - 1 not in LEFT_OUT[len(self.runs) - 1]:
            self.output = executor(x, t, *args, **kwargs)
        return self.output


@pytest.mark.parametrize("where", ["DIFFUSION_MODEL", "APPLY_MODEL"])
def test_a_call_left_out_of_the_targets_run_moves_no_other(where):
    """Each call of the source gets the keys and values of the target's call in the same step, or of the last one before it, as the cache
    itself goes on with what it has."""
    beside = bench("flux")
    seen = []

    def record(func, q, k, v, heads, *args, **kwargs):
        seen.append(k.clone())
        return func(q, k, v, heads, *args, **kwargs)

    cache = Skipping(beside.model, getattr(comfy.patcher_extension.WrappersMP, where))
    cache.model.model_options["transformer_options"]["optimized_attention_override"] = record
    beside.draw(beside.edit(cache.model), steps=STEPS)
    layers = len(models.layer_names(beside.model))
    at_layer = [k[:, :, :FLUX_TEXT] for k in seen[INDEX::layers]]
    evaluated = [[step for step in range(STEPS) if step not in left] for left in LEFT_OUT]
    assert [len(run) for run in cache.runs] == [STEPS, STEPS] and len(at_layer) == sum(map(len, evaluated))
    target = dict(zip(evaluated[0], at_layer, strict=False))
    source = dict(zip(evaluated[1], at_layer[len(target) :], strict=True))
    for step, keys in source.items():
        last = max(other for other in target if other <= step)
        assert [other for other, given in target.items() if torch.equal(keys, given)] == [last], f"step {step} of the source"


@pytest.mark.parametrize("name", ["sdxl", "flux"])
def test_easy_cache_skips_the_same_steps_as_alone(name, caplog):
    """The target's run and calls beside the source's own are not counted as steps of the source's."""
    beside = bench(name)

    def skipped(model):
        caplog.clear()
        with caplog.at_level("INFO"):
            beside.draw(model, steps=8)
        return [line for line in caplog.messages if "skipped" in line]

    cached = node(EasyCacheNode, 3.0, 0.0, 1.0, False)(beside.model)
    alone = skipped(cached)
    assert len(alone) == 1 and "skipped 0/" not in alone[0]
    for method in beside.methods:
        expected = alone * (2 if method == METHODS[0] and len(beside.methods) > 1 else 1)
        assert skipped(beside.edit(cached, beside.source, beside.everything(), method)) == expected


def test_what_is_kept_for_a_run_is_kept_for_one_of_ours():
    """A node whose wrapper stands in the model's options, as ours does, sees the target's run as one of its own."""
    beside, runs = bench("flux"), []

    def around(executor, *args, **kwargs):
        runs.append(1)
        return executor(*args, **kwargs)

    model = beside.model.clone()
    comfy.patcher_extension.add_wrapper(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, around, model.model_options, is_model_options=True)
    beside.draw(beside.edit(model))
    assert len(runs) == 2


@pytest.mark.parametrize("where", ["DIFFUSION_MODEL", "APPLY_MODEL"])
def test_a_target_of_which_nothing_was_seen_is_refused(where):
    beside = bench("flux")
    cache = Skipping(beside.model, getattr(comfy.patcher_extension.WrappersMP, where))
    edit = beside.edit(cache.model, start=3)
    with pytest.raises(RuntimeError, match="not called for the target from step 3 on"):
        beside.draw(edit, steps=4)


def one_module_for_all_blocks(model):
    """First Block Cache's way with SD3 and most others: while the model is called, one module that goes through the blocks stands there."""

    class Blocks(torch.nn.Module):
        def __init__(self, blocks):
            super().__init__()
            self.transformer_blocks = blocks

        def forward(self, context, x, **kwargs):
            for block in self.transformer_blocks:
                context, x = block(context, x, **kwargs)
            return context, x

    patched = model.clone()
    diffusion_model = model.model.diffusion_model

    def around(apply, args):
        blocks = diffusion_model.joint_blocks
        diffusion_model.joint_blocks = torch.nn.ModuleList([Blocks(blocks)])
        try:
            return apply(args["input"], args["timestep"], **args["c"])
        finally:
            diffusion_model.joint_blocks = blocks

    patched.set_model_unet_function_wrapper(around)
    return patched


def without_the_block(model):
    patched = model.clone()
    patched.set_model_patch_replace(lambda args, extra_options: args, "dit", "double_block", INDEX)
    return patched


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("other", "message"), [(one_module_for_all_blocks, "blocks of its own"), (without_the_block, "was not called")])
def test_hidden_layers_are_refused(other, message, method):
    """Rather than that the picture stays as it was, without a word. Afterwards the model is as before."""
    beside = bench("sd3")
    beside.draw(other(beside.model))
    with pytest.raises(RuntimeError, match=message):
        beside.draw(beside.edit(other(beside.model), method=method))
    assert torch.equal(beside.draw(beside.model), plain("sd3"))
