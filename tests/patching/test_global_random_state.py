"""The target's own run takes nothing of the random numbers that the source's run, and what comes after, would have had."""

import random
from itertools import pairwise

import comfy.sample
import comfy.samplers
import numpy as np
import pytest
import torch
from comfy_extras.nodes_advanced_samplers import SamplerLCMUpscale
from text_layers.patching.patch import METHODS

from .small import CASES, again, small

pytestmark = pytest.mark.any_comfyui


def state():
    """Of all generators that a sampler may draw from without naming one."""
    numbers = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [s.tolist() for s in (torch.get_rng_state(), numbers[1], *cuda)] + [numbers[2], random.getstate()]


@pytest.fixture(autouse=True)
def seeded():
    """begin() sets all of them; they are what they were after the test."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def begin():
        torch.manual_seed(1)
        np.random.seed(2)
        random.seed(3)

    yield begin
    torch.set_rng_state(before[0])
    np.random.set_state(before[1])
    random.setstate(before[2])


def noise_of_every_generator(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for level, following in pairwise(sigmas):
        denoised = model(x, level * x.new_ones([len(x)]), **extra_args)
        x = x + (x - denoised) / level * (following - level)
        x = x + following * (0.3 * torch.randn_like(x) + float(np.random.randn()) + random.random())
    return x


def lcm_upscale():
    return SamplerLCMUpscale.execute(1.0, -1, "bislerp").args[0]


def with_churn():
    return comfy.samplers.ksampler("euler", {"s_churn": 2.0})


def of_every_generator():
    return comfy.samplers.KSAMPLER(noise_of_every_generator)


def draw(bench, model, sampler):
    sigmas = comfy.samplers.calculate_sigmas(bench.model.get_model_object("model_sampling"), "simple", 3)
    return comfy.sample.sample_custom(
        model, bench.noise, 4.0, sampler(), sigmas, bench.prompts[0], bench.prompts[2], torch.zeros_like(bench.noise),
        disable_pbar=True, seed=3,
    )  # fmt: skip


@pytest.mark.parametrize("sampler", [of_every_generator, lcm_upscale, with_churn])
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_the_same_text_leaves_the_picture_and_the_state(kind, method, sampler, seeded):
    bench = small(kind)
    seeded()
    plain, after = draw(bench, bench.model, sampler), state()
    same = bench.edit(again(bench.prompts[0]), method=method)
    seeded()
    assert torch.equal(draw(bench, same, sampler), plain)
    assert state() == after


@pytest.mark.parametrize("sampler", [of_every_generator])
def test_another_text_leaves_the_state(sampler, seeded):
    bench = small("sd3")
    seeded()
    plain, after = draw(bench, bench.model, sampler), state()
    for start in (0, 2):
        seeded()
        assert not torch.equal(draw(bench, bench.edit(layers="1", start=start), sampler), plain)
        assert state() == after


@pytest.mark.parametrize("method", METHODS)
def test_a_node_that_draws_inside_the_models_call(method, seeded):
    """The same text again, and a patch of another node that adds noise of the global generator to a block."""
    bench = small("sd3")
    noisy = bench.model.clone()

    def noise(args, extra_options):
        out = extra_options["original_block"](args)
        return {**out, "img": out["img"] + 0.1 * torch.randn_like(out["img"])}

    noisy.set_model_patch_replace(noise, "dit", "double_block", 1)
    seeded()
    plain, after = draw(bench, noisy, with_churn), state()
    seeded()
    assert torch.equal(draw(bench, bench.edit(again(bench.prompts[0]), noisy, method=method), with_churn), plain)
    assert state() == after
