"""Rows of one batch that swap different layers give the pictures of patch_prompt, one by one."""

import comfy.sample
import pytest
import torch
from text_layers.patching import models
from text_layers.patching.patch import patch_prompt
from text_layers.patching.sweep import Swap, record_targets, swap_rows, takes_from_rows


def draw(fixture, model, positive, rows=1, cfg=5.0):
    noise = fixture.noise.repeat(rows, 1, 1, 1)
    negative = [[fixture.negative[0][0].repeat(rows, 1, 1), {k: v.repeat(rows, 1) for k, v in fixture.negative[0][1].items()}]]
    return comfy.sample.sample(
        model, noise, 5, cfg, "euler", "normal", positive, negative, torch.zeros_like(noise), disable_pbar=True, seed=3
    )  # fmt: skip


def side_by_side(*conditionings):
    return [
        [
            torch.cat([c[0][0] for c in conditionings]),
            {"pooled_output": torch.cat([c[0][1]["pooled_output"] for c in conditionings])},
        ]
    ]


SETS = [(), (0,), (2,), (1, 3), (0, 1, 2, 3, 4, 5)]


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("memory_is_short", "cfg"), [(False, 5.0), (True, 5.0)])
def test_every_row_is_its_own_edit(oracle, cfg, memory_is_short):
    names = models.layer_names(oracle.model)
    evolves = takes_from_rows(oracle.model)
    target = 0 if evolves else oracle.positive_B[0][0]
    rows = [None, *(Swap(tuple(names[i] for i in layers), target) for layers in SETS)]
    positive = side_by_side(oracle.positive_B, *[oracle.positive_A] * len(SETS))
    factor = oracle.model.model.memory_usage_factor
    oracle.model.model.memory_usage_factor = 1e12 if memory_is_short else factor
    try:
        together = draw(oracle, swap_rows(oracle.model, rows), positive, len(rows), cfg)
    finally:
        oracle.model.model.memory_usage_factor = factor
    # 2e-3 of the largest value: another batch size is another order of float operations.
    target_picture = draw(oracle, oracle.model, oracle.positive_B, cfg=cfg)
    assert (together[:1] - target_picture).abs().max() < 2e-3 * target_picture.abs().max()
    source = draw(oracle, oracle.model, oracle.positive_A, cfg=cfg)
    for layers, row in zip(SETS, together[1:], strict=True):
        model = oracle.model
        if layers:
            chosen = models.written(oracle.model, " ".join(map(str, layers)))
            model = patch_prompt(oracle.model, chosen, oracle.positive_B)
        wanted = draw(oracle, model, oracle.positive_A, cfg=cfg)
        assert (row[None] - wanted).abs().max() < 2e-3 * wanted.abs().max(), layers
        assert not layers or (wanted - source).abs().max() > 0.01 * wanted.abs().max()


@pytest.mark.any_comfyui
@pytest.mark.parametrize(("memory_is_short", "cfg"), [(False, 5.0), (True, 5.0), (False, 1.0)])
def test_targets_of_another_length_are_drawn_first(sd3, cfg, memory_is_short):
    """The second target row of a batch of two, with four tokens more than the source."""
    longer = [[torch.cat([sd3.positive_B[0][0], sd3.positive_B[0][0][:, :4].flip(1)], 1), sd3.positive_B[0][1]]]
    names = models.layer_names(sd3.model)
    factor = sd3.model.model.memory_usage_factor
    sd3.model.model.memory_usage_factor = 1e12 if memory_is_short else factor
    try:
        recording, runs = record_targets(sd3.model, names)
        draw(sd3, recording, side_by_side(longer, longer), 2, cfg)
        rows = [None, *(Swap(tuple(names[i] for i in layers), (runs, 1)) for layers in SETS[1:])]
        together = draw(sd3, swap_rows(sd3.model, rows), side_by_side(*[sd3.positive_A] * len(rows)), len(rows), cfg)
    finally:
        sd3.model.model.memory_usage_factor = factor
    for layers, row in zip(SETS[1:], together[1:], strict=True):
        chosen = models.written(sd3.model, " ".join(map(str, layers)))
        wanted = draw(sd3, patch_prompt(sd3.model, chosen, longer), sd3.positive_A, cfg=cfg)
        assert (row[None] - wanted).abs().max() < 2e-3 * wanted.abs().max(), layers  # as above


def test_weights_of_rows(oracle):
    """By head they draw what patch_prompt draws with these heads; 0 is the source, and a number between moves with the number."""
    names = models.layer_names(oracle.model)
    target = 0 if takes_from_rows(oracle.model) else oracle.positive_B[0][0]
    heads = models.family_of(oracle.model).head_counts(oracle.model.model.diffusion_model)[names[2]]
    one_head = torch.zeros(heads).index_fill(0, torch.tensor([1]), 1.0)
    weights = [0, 0.25, 0.5, 1, one_head]
    rows = [None, *(Swap((names[2],), target, w) for w in weights)]
    positive = side_by_side(oracle.positive_B, *[oracle.positive_A] * len(weights))
    _, none, quarter, half, whole, by_head = draw(oracle, swap_rows(oracle.model, rows), positive, len(rows)).split(1)
    source = draw(oracle, oracle.model, oracle.positive_A)
    size = (whole - source).abs().max()
    wanted = draw(oracle, patch_prompt(oracle.model, models.written(oracle.model, "2:1"), oracle.positive_B), oracle.positive_A)
    for found, expected in ((none, source), (by_head, wanted)):
        assert (found - expected).abs().max() < 2e-3 * expected.abs().max()  # as above
    assert (wanted - source).abs().max() > 0.02 * size
    moved = [(picture - source).norm() for picture in (none, quarter, half, whole)]
    assert moved == sorted(moved) and moved[1] > 0.1 * moved[3]


def test_a_batch_that_another_node_has_made_anew_is_refused(sd3):
    names = models.layer_names(sd3.model)
    swapping = swap_rows(sd3.model, [None, Swap((names[1],), 0)])

    def doubled(apply, args):
        twice = {k: torch.cat([v, v]) if torch.is_tensor(v) else v for k, v in args["c"].items()}
        return apply(torch.cat([args["input"]] * 2), torch.cat([args["timestep"]] * 2), **twice)[: len(args["input"])]

    swapping.set_model_unet_function_wrapper(doubled)
    with pytest.raises(RuntimeError, match="made the batch"):
        draw(sd3, swapping, side_by_side(sd3.positive_B, sd3.positive_A), 2)


def test_the_model_is_unharmed(oracle):
    before = draw(oracle, oracle.model, oracle.positive_A)
    names = models.layer_names(oracle.model)
    target = 0 if takes_from_rows(oracle.model) else oracle.positive_B[0][0]
    draw(oracle, swap_rows(oracle.model, [None, Swap((names[1],), target)]), side_by_side(oracle.positive_B, oracle.positive_A), 2)
    assert torch.equal(draw(oracle, oracle.model, oracle.positive_A), before)


def test_errors(sd3):
    names = models.layer_names(sd3.model)
    with pytest.raises(ValueError, match="no text layer elsewhere"):
        swap_rows(sd3.model, [None, Swap(("elsewhere",), 0)])
    for giver in (1, 5):
        with pytest.raises(ValueError, match="cannot give"):
            swap_rows(sd3.model, [None, Swap((names[0],), giver)])
