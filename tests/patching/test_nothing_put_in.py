"""A patch that should have been at work and put nothing in ends in an error: a picture that is the unpatched one would be taken for an edit
that did not succeed. And what makes a patcher of its own of a patched MODEL's options keeps the patch."""

import copy
import itertools

import comfy.model_patcher
import comfy.samplers
import pytest
import torch
from text_layers.patching import models
from text_layers.patching.patch import METHODS, OWN_RUN, SAME_LATENTS

from .small import CASES, assert_same, small

LAYER = 1


def without_our_options(model):
    """Calls the model of its own, without the options that ComfyUI gives."""
    patched = model.clone()
    patched.set_model_unet_function_wrapper(
        lambda apply, args: apply(args["input"], args["timestep"], **{**args["c"], "transformer_options": {}})
    )
    return patched


def a_prediction_of_its_own(model):
    """Never calls the model."""
    patched = model.clone()
    patched.set_model_unet_function_wrapper(lambda apply, args: 0.5 * args["input"])
    return patched


def a_block_left_out(model, when=lambda call: True):
    """The block around a layer hands on what it is given. when: of the calls of the block, counted from 0."""
    patched = model.clone()
    name = models.layer_names(model)[LAYER]
    if not name.startswith("joint_blocks"):  # those are the layers themselves
        name = name.rpartition(".")[0]
    block, calls = model.model.diffusion_model.get_submodule(name), []

    def around(*args, **kwargs):
        calls.append(1)
        if not when(len(calls) - 1):
            return type(block).forward(block, *args, **kwargs)  # its own: ComfyUI may not have taken back an earlier patch yet
        if name.startswith("joint_blocks"):
            context, x = args[:2]
            return context, x
        return args[0]

    patched.add_object_patch(f"diffusion_model.{name}.forward", around)
    return patched


@pytest.mark.parametrize("other", [without_our_options, a_prediction_of_its_own, a_block_left_out])
@pytest.mark.parametrize("order", ["before ours", "behind ours"])
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_layer_that_is_never_called(kind, method, other, order):
    bench = small(kind)
    options = {"layers": f"{LAYER}", "method": method}
    edit = bench.edit(model=other(bench.model), **options) if order == "before ours" else other(bench.edit(**options))
    plain = bench.draw(other(bench.model))
    with pytest.raises(RuntimeError, match=models.layer_names(bench.model)[LAYER].replace(".", r"\.")):
        bench.draw(edit)
    assert torch.equal(bench.draw(other(bench.model)), plain), "the model is what it was"


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_one_of_several_layers_is_never_called(kind, method):
    """The error names this one; the others were swapped, so that the picture is not what was asked for either."""
    bench = small(kind)
    with pytest.raises(RuntimeError, match=models.layer_names(bench.model)[LAYER].replace(".", r"\.")):
        bench.draw(a_block_left_out(bench.edit(layers=f"0-{LAYER + 1}", method=method)))


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_layer_that_is_left_out_in_some_steps_is_swapped_in_the_others(kind, method):
    bench = small(kind)
    layers = f"{LAYER}"

    def draw(model):
        return bench.draw(a_block_left_out(model, lambda call: call % 2 == 1))

    if method == SAME_LATENTS:  # a call beside the sampler's own would be counted by the node
        with pytest.raises(RuntimeError, match="may remember"):
            draw(bench.edit(layers=layers, method=method))
        return
    assert (draw(bench.edit(layers=layers, method=method)) - draw(bench.model)).abs().max() > 1e-3 * draw(bench.model).abs().max()


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_start_behind_the_steps_asks_for_nothing(kind, method):
    bench = small(kind)
    edit = a_prediction_of_its_own(bench.edit(start=2, method=method))
    assert torch.equal(bench.draw(edit), bench.draw(a_prediction_of_its_own(bench.model)))


def a_fresh_patcher_of_the_same_options(model):
    """As packs make one to sample with another sampling or at another place."""
    fresh = comfy.model_patcher.ModelPatcher(model.model, model.load_device, model.offload_device)
    fresh.model_options = model.model_options
    return fresh


def a_fresh_patcher_of_deeply_copied_options(model):
    fresh = comfy.model_patcher.ModelPatcher(model.model, model.load_device, model.offload_device)
    fresh.model_options = copy.deepcopy(model.model_options)
    return fresh


SAME_OPTIONS, COPIED = a_fresh_patcher_of_the_same_options, a_fresh_patcher_of_deeply_copied_options


@pytest.mark.parametrize(
    ("kind", "method", "fresh"), [*((*case, SAME_OPTIONS) for case in CASES[:3]), *((*case, COPIED) for case in CASES[:2])]
)
def test_a_fresh_patcher(kind, method, fresh):
    bench = small(kind)
    edit = bench.edit(layers=f"{LAYER}", method=method)
    wanted = bench.draw(edit)
    assert not torch.equal(wanted, bench.draw())
    assert torch.equal(bench.draw(fresh(edit)), wanted)
    assert torch.equal(bench.draw(fresh(edit).clone()), wanted)
    chained = bench.edit(bench.prompts[3], fresh(edit), layers="2", method=method)
    assert torch.equal(bench.draw(chained), bench.draw(bench.edit(bench.prompts[3], edit, layers="2", method=method))), "ours behind it"


class PromptsOfOtherNames(comfy.samplers.CFGGuider):
    """A guider whose prompts are neither positive nor negative: a target belongs to none of them."""

    def set_conds(self, positive, negative):
        self.inner_set_conds({"first": positive, "second": negative})

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        sides = [self.conds["first"], self.conds["second"]]
        first, second = comfy.samplers.calc_cond_batch(self.inner_model, sides, x, timestep, model_options)
        return second + self.cfg * (first - second)


def guided(bench, model, kind, sampler="euler"):
    guider = kind(model)
    guider.set_conds(bench.prompts[0], bench.prompts[2])
    guider.set_cfg(4.0)
    sampler = comfy.samplers.KSAMPLER(sampler) if callable(sampler) else comfy.samplers.sampler_object(sampler)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 2)
    return guider.sample(bench.noise, torch.zeros_like(bench.noise), sampler, sigmas, disable_pbar=True, seed=3)


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_guider_with_prompts_of_other_names(kind, method):
    bench = small(kind)
    assert guided(bench, bench.model, PromptsOfOtherNames).isfinite().all()
    with pytest.raises(RuntimeError, match="has not had the target's text"):
        guided(bench, bench.edit(method=method), PromptsOfOtherNames)


def batches_of_its_own(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """A sampler that leaves out the guider, and with it what ComfyUI tells of an evaluation."""
    guider, options = model.inner_model, extra_args["model_options"]
    for sigma, following in itertools.pairwise(sigmas):
        sides = [guider.conds["positive"], guider.conds["negative"]]
        positive, negative = comfy.samplers.calc_cond_batch(guider.inner_model, sides, x, sigma.repeat(len(x)), options)
        denoised = negative + 4.0 * (positive - negative)
        x = x + (x - denoised) / sigma * (following - sigma)
    return x


def calls_of_its_own(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """A sampler that asks the guider, and the model beside it."""
    x = model(x, sigmas[0].repeat(len(x)), **extra_args)
    guider, options = model.inner_model, extra_args["model_options"]["transformer_options"]
    conds = guider.conds["positive"][0]["model_conds"]
    given = {name: cond.process_cond(batch_size=len(x), area=None).cond for name, cond in conds.items()}
    return guider.inner_model.apply_model(x, sigmas[1].repeat(len(x)), **given, transformer_options=options)


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("sampler", "start"), [(batches_of_its_own, 0), (batches_of_its_own, 1), (calls_of_its_own, 1)])
@pytest.mark.parametrize(("kind", "method"), CASES[:3])
def test_a_sampler_that_leaves_out_the_guider(kind, method, start, sampler):
    bench = small(kind)
    assert guided(bench, bench.model, comfy.samplers.CFGGuider, sampler).isfinite().all()
    with pytest.raises(RuntimeError, match="in its own way"):
        guided(bench, bench.edit(method=method, start=start), comfy.samplers.CFGGuider, sampler)


def with_a_model_for_each_side(bench, model, negative_model):
    """ComfyUI's Dual Model CFG Guider."""
    from comfy_extras.nodes_custom_sampler import DualModelGuider

    guider = DualModelGuider.execute(model, bench.prompts[0], 4.0, negative_model, bench.prompts[2]).args[0]
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 2)
    return guider.sample(
        bench.noise, torch.zeros_like(bench.noise), comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True, seed=3
    )


@pytest.mark.needs_comfyui("0.30")
@pytest.mark.parametrize(("kind", "method"), [("sdxl", OWN_RUN), *(("sd3", method) for method in METHODS)])
class TestAModelForEachSide:
    def test_both_patched(self, kind, method):
        bench = small(kind)
        edit = bench.edit(method=method)
        assert_same(with_a_model_for_each_side(bench, edit, edit), bench.draw(edit), bench.draw())

    def test_patched_for_the_prompt(self, kind, method):
        """Without a target for the negative prompt its half of the picture is what it was, but for the target's own run."""
        bench = small(kind)
        edit = bench.edit(method=method)
        found = with_a_model_for_each_side(bench, edit, bench.model)
        if kind == "sdxl" or method == SAME_LATENTS:
            assert_same(found, bench.draw(edit), bench.draw())
        else:
            assert (found - bench.draw()).abs().max() > 1e-3 * found.abs().max()

    def test_patched_for_the_negative_prompt(self, kind, method):
        """The picture in which only the negative half has a target, or an error."""
        bench = small(kind)
        edit = bench.edit(bench.prompts[0], negative=bench.prompts[3], method=method)
        try:
            found = with_a_model_for_each_side(bench, bench.model, edit)
        except (RuntimeError, ValueError):
            return
        assert_same(found, bench.draw(edit), bench.draw())
