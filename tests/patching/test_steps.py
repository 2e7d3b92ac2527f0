"""`start` counts the steps that a run makes, in its own order, whatever its schedule does: rise, turn, repeat a level, begin with padding
or in the middle. Judged by runs in which we ourselves say which call belongs to which step."""

from dataclasses import replace
from itertools import pairwise

import comfy.k_diffusion.sampling as core
import pytest
import torch
from comfy_extras import nodes_custom_sampler as custom
from text_layers.benchmarks.families.checks import TOLERANCE
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS, Share
from text_layers.patching.place import Steps

from .by_hand import CASES, Run, bench

pytestmark = pytest.mark.any_comfyui

A, B, C, D = range(4)  # noise levels, the highest first


def euler(model, x, sigmas, extra_args=None, callback=None, disable=None, note=None, first=0, last=0, steps_from=0):
    """From level number `first` on, but for the `last` spans; step 0 begins at level number `steps_from`. Where a level stands twice the
    picture moves a little at this level."""
    for i in range(first, len(sigmas) - 1 - last):
        note(i - steps_from)
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i - steps_from, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
        if sigmas[i + 1] == sigmas[i]:
            x = x + 0.3 * (denoised - x)
    return x


def midpoint(model, x, sigmas, extra_args=None, callback=None, disable=None, note=None):
    """Two calls a step, the second half-way down or up."""
    for i, (level, following) in enumerate(pairwise(sigmas)):
        note(i)
        denoised = model(x, level * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": level, "sigma_hat": level, "denoised": denoised})
        between = (level + following) / 2
        half = x + (x - denoised) / level * (between - level)
        note(i)
        x = x + (half - model(half, between * x.new_ones([len(x)]), **extra_args)) / between * (following - level)
    return x


def twice(model, x, sigmas, extra_args=None, callback=None, disable=None, note=None):
    """Two calls a step at its own level, before the callback."""
    for i, (level, following) in enumerate(pairwise(sigmas)):
        note(i)
        denoised = model(x, level * x.new_ones([len(x)]), **extra_args)
        moved = x + 0.3 * (denoised - x)
        note(i)
        denoised = model(moved, level * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": level, "sigma_hat": level, "denoised": denoised})
        x = moved + 0.3 * (denoised - moved) + (moved - denoised) / level * (following - level)
    return x


def restart_with_noise(model, x, sigmas, extra_args=None, callback=None, disable=None, note=None):
    """Where the schedule rises there is no call: noise is added."""
    for i in range(len(sigmas) - 1):
        if sigmas[i + 1] > sigmas[i]:
            noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(i))
            x = x + noise.to(x) * (sigmas[i + 1] ** 2 - sigmas[i] ** 2) ** 0.5
        else:
            x = euler(model, x, sigmas[: i + 2], extra_args, callback, note=note, first=i)
    return x


def adaptive(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return core.sample_dpm_adaptive(model, x, sigmas[-1], sigmas[0], extra_args, callback, True, order=2, rtol=1.0, atol=1.0)


def levels(kind, *numbers):
    """Noise levels by number; None is 0."""
    flow = bench(kind).model.get_model_object("model_sampling").sigma_max <= 1
    sigmas = (0.9, 0.7, 0.5, 0.3) if flow else (8.0, 4.0, 2.0, 1.0)
    return torch.tensor([0.0 if n is None else sigmas[n] for n in numbers])


def run(kind, sampler, numbers, by_level=False, **options):
    sigmas = levels(kind, *numbers)

    def step_of(level):
        return sum(level <= float(begin) * (1 + 1e-5) for begin in sigmas[1:-1])

    return Run(bench(kind), sampler, sigmas, 0.3 * bench(kind).tiny.noise().flip(-1), options, step_of if by_level else None)


def layers(odd):
    names = odd.bench.names
    return [names[0], names[len(names) // 2]]


def check(odd, start, method, or_refused=False):
    plain, wanted = odd.draw(), odd.by_hand(layers(odd), start, method)
    size = (wanted - plain).abs().max()
    assert size > 1e-3 * plain.abs().max(), "patching does something"
    try:
        edit = odd.edit(layers(odd), start, method)
    except (RuntimeError, ValueError):
        if or_refused:
            return
        raise
    assert (edit - wanted).abs().max() <= TOLERANCE * size


# name -> sampler, levels, the start that is tried, options of the sampler
ODD = {
    "a_schedule_that_rises": (euler, (D, C, B, A), 1, {}),
    "a_schedule_that_rises_between_padding": (euler, (None, D, C, B, A, None), 1, {"first": 1, "last": 1, "steps_from": 1}),
    "a_schedule_padded_with_a_zero": (euler, (None, A, B, C, D, None), 2, {"first": 1, "steps_from": 1}),
    "a_chain_that_goes_on_after_two_steps": (euler, (A, B, C, D, None), 3, {"first": 2}),
    "a_padded_chain_that_goes_on_after_two_steps": (euler, (None, A, B, C, D, None, None), 3, {"first": 3, "last": 1, "steps_from": 1}),
    "a_chain_that_goes_on_after_the_start": (euler, (None, A, B, C, D, None), 1, {"first": 3, "steps_from": 1}),
    "a_repeated_level": (euler, (A, B, B, C, None), 2, {}),
    "a_repeated_level_with_two_calls_a_step": (twice, (A, B, B, C, None), 2, {}),
    "a_restart": (euler, (A, B, C, B, C, None), 3, {}),
    "a_restart_from_the_first_level": (euler, (A, B, C, A, C, None), 3, {}),
    "a_turn": (euler, (D, C, B, C, D, None), 3, {}),
    "a_turn_with_midpoints": (midpoint, (D, B, C, D), 1, {}),
}  # fmt: skip


# The step of a call is found before it is known what is patched: the other two ways take every third schedule.
@pytest.mark.parametrize(
    ("name", "kind", "method"), [(name, *case) for n, name in enumerate(ODD) for case in (CASES if n % 3 == 0 else CASES[:2])]
)
def test_the_start_on_an_odd_schedule(name, kind, method):
    sampler, numbers, start, options = ODD[name]
    check(run(kind, sampler, numbers, **options), start, method)


@pytest.mark.parametrize(("share", "start"), [(0.5, 2), (0.75, 3), (0.99, 3)])
def test_a_share_of_a_padded_schedule_is_of_the_steps_that_run(share, start):
    kind, method = CASES[0]
    odd = run(kind, euler, (None, A, B, C, D, None), first=1, steps_from=1)
    assert torch.equal(odd.edit(layers(odd), Share(share), method), odd.edit(layers(odd), start, method))


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_all_steps_of_a_schedule_that_rises_between_padding(kind, method):
    """No call's level is below the first."""
    check(run(kind, euler, (None, D, C, B, A, None), first=1, last=1, steps_from=1), 0, method)


@pytest.mark.parametrize(("kind", "method"), CASES[:2])
@pytest.mark.parametrize(
    ("numbers", "start", "options"),
    [
        ((D, C, B, A), 3, {}),
        ((None, D, C, B, A, None), 3, {"first": 1, "last": 1, "steps_from": 1}),
        ((None, A, B, C, None), 3, {"first": 1, "steps_from": 1}),
        ((D, C, B, C, None), 4, {}),
    ],
    ids=["rises", "rises between padding", "padded", "turns"],
)
def test_a_start_behind_the_last_step_leaves_the_picture(numbers, start, options, kind, method):
    odd = run(kind, euler, numbers, **options)
    assert torch.equal(odd.edit(layers(odd), start, method), odd.draw())


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_flipped_sigmas(kind, method):
    """ComfyUI's node, which begins with a level of nearly 0."""
    odd = run(kind, euler, (A, B, C, None))
    flipped = custom.FlipSigmas.execute(odd.sigmas).args[0]
    assert 0 < flipped[0] < 1e-3 and flipped[1] < flipped[-1]
    check(replace(odd, sigmas=flipped), 2, method)


@pytest.mark.parametrize(("kind", "method"), CASES[:2])
@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        (core.sample_heun, {}),
        (core.sample_dpm_2, {}),
        (core.sample_dpmpp_2s_ancestral, {}),
        (core.sample_dpmpp_sde, {}),
        (core.sample_euler, {"s_churn": 1.0}),
    ],
    ids=["heun", "dpm_2", "dpmpp_2s_ancestral", "dpmpp_sde", "euler with churn"],
)
def test_calls_between_levels_and_above_the_first(sampler, options, kind, method):
    """On a schedule that falls, a call belongs to the last step that has begun at its level or above."""
    check(run(kind, sampler, (A, B, C, D, None), by_level=True, **options), 1, method)


def test_a_sampler_that_chooses_its_own_levels_on_the_sources_latents():
    check(run("SD3", adaptive, (A, B, C, D), by_level=True), 1, SAME_LATENTS)


def test_a_sampler_that_chooses_its_own_levels_cannot_follow_the_targets_run():
    """The target's run is at other levels."""
    odd = run("SD3", adaptive, (A, B, C, D), by_level=True)
    with pytest.raises(RuntimeError, match=SAME_LATENTS):
        odd.edit(layers(odd), 0, OWN_RUN)


@pytest.mark.parametrize(("kind", "method"), CASES[:3])
def test_a_run_that_could_be_at_two_places_is_refused(kind, method):
    """It begins at a level through which the schedule goes twice; before the start on the way up, behind it on the way down."""
    odd = run(kind, euler, (D, C, B, C, D, None), first=3)
    with pytest.raises((RuntimeError, ValueError), match="several times"):
        odd.edit(layers(odd), 2, method)
    check(odd, 0, method)


def silent(sampler):
    def without_callback(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
        return sampler(model, x, sigmas, extra_args, None, disable, **options)

    return without_callback


@pytest.mark.parametrize(("kind", "method"), CASES[:3])
@pytest.mark.parametrize(
    ("sampler", "numbers"),
    [(restart_with_noise, (A, B, C, B, C, None)), (silent(euler), (A, B, B, C, None)), (silent(euler), (A, C, B, C, None))],
    ids=["a restart with noise", "a repeated level without callback", "a restart without callback"],
)
def test_what_is_hard_to_tell_is_right_or_refused(sampler, numbers, kind, method):
    for start in (2, 3):
        check(run(kind, sampler, numbers), start, method, or_refused=True)


def test_a_level_between_two_is_of_the_step_in_whose_span_it_lies():
    """Samplers of second order evaluate there, and 2 is nearer to the next step's level."""
    steps = Steps([10.0, 5.0, 1.0, 0.0])
    for level, step in ((10.0, 0), (6.0, 0), (5.0, 1), (2.0, 1), (1.0, 2), (0.1, 2)):
        steps.move(level)
        assert steps.reached(step) and not steps.reached(step + 1), level
