"""Patching through ComfyUI's own samplers on tiny random models: composition, exactness, an unharmed model, errors."""

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.supported_models
import pytest
import torch
from text_layers.patching import models
from text_layers.patching.patch import METHODS, SAME_LATENTS, Share, patch_prompt
from text_layers.patching.text_layers import TextLayers
from text_layers.testing import full_size
from text_layers.testing.tiny_models import MODELS
from text_layers.testing.tiny_models.model import OLD

STEPS = 5


def layers(model, text):
    return models.written(model, text)


def everything(model):
    return layers(model, f"0-{len(models.layer_names(model)) - 1}")


def draw(fixture, model=None, sampler="euler", scheduler="normal", steps=STEPS, cfg=5.0, positive=None, negative=None, noise=None, **kw):
    noise = fixture.noise if noise is None else noise
    return comfy.sample.sample(
        model or fixture.model, noise, steps, cfg, sampler, scheduler, positive or fixture.positive_A, negative or fixture.negative,
        kw.pop("latent", torch.zeros_like(noise)), disable_pbar=True, seed=3, **kw,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_a_target_equal_to_the_source_changes_no_bit(oracle, method):
    patched = patch_prompt(oracle.model, everything(oracle.model), oracle.positive_A, oracle.negative, method=method)
    assert torch.equal(draw(oracle, patched), draw(oracle))


class Tiny:
    """The tiny Stable Diffusion 3, for what goes through a long list."""

    def __init__(self):
        tiny = next(tiny for tiny in MODELS if tiny.kind == "SD3")
        self.model, self.noise = tiny.build(), tiny.noise()
        self.positive_A, self.positive_B, self.negative = map(tiny.conditioning, range(3))


@pytest.fixture(scope="module")
def tiny():
    return Tiny()


# uni_pc and the like are in the list; every sampler that KSampler offers is tried, with the oldest ComfyUI one of each kind.
@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm_adaptive", "lms", "uni_pc"] if OLD else comfy.samplers.SAMPLER_NAMES)
def test_every_sampler(tiny, sampler):
    plain = draw(tiny, sampler=sampler, steps=3)
    same = patch_prompt(tiny.model, everything(tiny.model), tiny.positive_A)
    assert torch.equal(draw(tiny, same, sampler, steps=3), plain)
    edited = patch_prompt(tiny.model, layers(tiny.model, "1"), tiny.positive_B)
    if sampler == "dpm_adaptive":  # it chooses its noise levels by what it draws, so that no call of the target's run belongs to one
        with pytest.raises(RuntimeError, match="different noise levels"):
            draw(tiny, edited, sampler, steps=3)
        edited = patch_prompt(tiny.model, layers(tiny.model, "1"), tiny.positive_B, method=SAME_LATENTS)
    assert (draw(tiny, edited, sampler, steps=3) - plain).abs().max() > 1e-2


@pytest.mark.parametrize("scheduler", comfy.samplers.SCHEDULER_NAMES)
def test_every_scheduler(tiny, scheduler):
    plain = draw(tiny, scheduler=scheduler)
    edited = patch_prompt(tiny.model, layers(tiny.model, "1"), tiny.positive_B)
    assert (draw(tiny, edited, scheduler=scheduler) - plain).abs().max() > 1e-2
    at_the_end = patch_prompt(tiny.model, layers(tiny.model, "1"), tiny.positive_B, start=STEPS)
    assert torch.equal(draw(tiny, at_the_end, scheduler=scheduler), plain)


class Probe:
    """Sees every attention call of the model: [(block or None, k, v)] in order, as an attention override."""

    def __init__(self, model):
        self.calls = []
        self.model = model.clone()
        self.model.model_options["transformer_options"]["optimized_attention_override"] = self

    def __deepcopy__(self, memo):
        return self  # ComfyUI 0.3 copies a model's options deeply

    def __call__(self, func, q, k, v, heads, *args, **kwargs):
        self.calls.append((k.clone(), v.clone()))
        return func(q, k, v, heads, *args, **kwargs)


def test_only_the_chosen_blocks_text_keys_and_values_change_and_are_the_targets(sd3):
    blocks, text = 6, 12
    target = Probe(sd3.model)
    draw(sd3, target.model, steps=1, positive=sd3.positive_B)
    source = Probe(sd3.model)
    draw(sd3, source.model, steps=1)
    patched = Probe(sd3.model)
    draw(sd3, patch_prompt(patched.model, layers(sd3.model, "2"), sd3.positive_B), steps=1)
    assert len(target.calls) == len(source.calls) == blocks
    seen = patched.calls[blocks:]  # the first calls are the target's own run
    assert len(seen) == blocks
    for got, wanted in zip(patched.calls[:blocks], target.calls, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
    for part in (0, 1):
        assert torch.equal(seen[2][part][:, :text], target.calls[2][part][:, :text])
        assert torch.equal(seen[2][part][:, text:], source.calls[2][part][:, text:])
        for block in (0, 1):
            assert torch.equal(seen[block][part], source.calls[block][part])


def test_the_second_attention_of_sd35_medium_is_left_alone():
    """Its first blocks attend a second time, among image tokens only; the swap is in the first attention."""
    config = {**full_size.SD35_MEDIUM, "depth": 2, "num_blocks": 3, "x_block_self_attn_layers": [0, 1], "adm_in_channels": 8,
              "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 32, "out_features": 128}}}  # fmt: skip
    model = full_size.random_model(comfy.supported_models.SD3, config)
    assert models.architecture(model) == "mmdit-3x128+attn2"
    prompts = [[[torch.randn(1, 12, 32), {"pooled_output": torch.randn(1, 8)}]] for _ in "AB"]
    noise, image = torch.randn(1, 16, 8, 8), 16

    def calls(patched, positive=prompts[0]):
        probe = Probe(patched)
        comfy.sample.sample(probe.model, noise, 1, 1.0, "euler", "normal", positive, positive, torch.zeros_like(noise), disable_pbar=True)
        return probe.calls

    source, target, edit = calls(model), calls(model, prompts[1]), calls(patch_prompt(model, layers(model, "0"), prompts[1]))[5:]
    assert [k.shape[1] - image for k, _ in source] == [12, 0, 12, 0, 12]
    for part in (0, 1):
        assert torch.equal(edit[0][part][:, :12], target[0][part][:, :12]) and torch.equal(edit[0][part][:, 12:], source[0][part][:, 12:])
        assert torch.equal(edit[1][part], source[1][part])
        assert not torch.equal(edit[2][part][:, 12:], source[2][part][:, 12:])


def test_only_the_chosen_cross_attentions_keys_and_values_change(sdxl):
    chosen = 4
    place = models.layer_names(sdxl.model)
    runs = {}
    for name, positive, patch in (("source", sdxl.positive_A, False), ("target", sdxl.positive_B, False), ("edit", sdxl.positive_A, True)):
        probe = Probe(sdxl.model)
        model = patch_prompt(probe.model, layers(sdxl.model, str(chosen)), sdxl.positive_B) if patch else probe.model
        draw(sdxl, model, steps=1, positive=positive)
        runs[name] = probe.calls[1::2]  # self- and cross-attention take turns
        assert len(runs[name]) == len(place)
    for index in range(len(place)):
        wanted = "target" if index == chosen else "source"
        for part in (0, 1):
            assert torch.equal(runs["edit"][index][part], runs[wanted][index][part]), place[index]


def rows_of(conditioning, *others):
    both = [conditioning, *others]
    return [[torch.cat([c[0][0] for c in both]), {"pooled_output": torch.cat([c[0][1]["pooled_output"] for c in both])}]]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_rows(oracle, method):
    """Row by row the same picture as alone. 2e-3 of the largest value: another batch size is another order of float operations."""
    noise = torch.cat([oracle.noise, oracle.noise.flip(-1)])
    sources, targets = (oracle.positive_A, oracle.positive_B), (oracle.positive_B, oracle.positive_A)
    chosen = layers(oracle.model, "2, 4")
    together = draw(oracle, patch_prompt(oracle.model, chosen, rows_of(*targets), method=method), positive=rows_of(*sources), noise=noise)
    for row in (0, 1):
        alone = patch_prompt(oracle.model, chosen, targets[row], method=method)
        wanted = draw(oracle, alone, positive=sources[row], noise=noise[row : row + 1])
        assert (together[row : row + 1] - wanted).abs().max() < 2e-3 * wanted.abs().max()
    assert (together[0] - draw(oracle)[0]).abs().max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_split_calls_give_the_same_picture(oracle, method):
    """ComfyUI evaluates the two CFG halves in two calls where memory is short."""
    patched = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B, method=method)
    together = draw(oracle, patched)
    factor = oracle.model.model.memory_usage_factor
    oracle.model.model.memory_usage_factor = 1e12
    try:
        apart = draw(oracle, patched)
    finally:
        oracle.model.model.memory_usage_factor = factor
    assert (together - apart).abs().max() < 2e-3 * together.abs().max() < (together - draw(oracle)).abs().max()


@pytest.mark.parametrize("method", METHODS)
def test_no_guidance(oracle, method):
    patched = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B, method=method)
    plain = draw(oracle, cfg=1.0)
    assert (draw(oracle, patched, cfg=1.0) - plain).abs().max() > 1e-2


def longer(conditioning, times):
    return [[conditioning[0][0].repeat(1, times, 1), conditioning[0][1]]]


def shorter(conditioning, tokens):
    return [[conditioning[0][0][:, :tokens], conditioning[0][1]]]


def test_repeated_target_tokens_change_nothing_in_cross_attention(sdxl):
    chosen = layers(sdxl.model, "2, 4")
    once = draw(sdxl, patch_prompt(sdxl.model, chosen, sdxl.positive_B))
    twice = draw(sdxl, patch_prompt(sdxl.model, chosen, longer(sdxl.positive_B, 3)))
    assert (once - twice).abs().max() < 2e-3 * once.abs().max()


@pytest.mark.parametrize("method", METHODS)
def test_prompts_of_different_length(sd3, method):
    """A target that is shorter than source and negative: its keys go in as they are, without repeating."""
    target = shorter(sd3.positive_B, 7)
    probe = Probe(sd3.model)
    draw(sd3, patch_prompt(probe.model, layers(sd3.model, "1"), target, method=method), steps=1)
    image = 64
    lengths = [k.shape[1] - image for k, _ in probe.calls]
    assert sorted(set(lengths)) == [7, 12]
    assert draw(sd3, patch_prompt(sd3.model, layers(sd3.model, "1"), target, method=method)).isfinite().all()


def with_area(conditioning, area):
    return [[conditioning[0][0], conditioning[0][1] | {"area": area, "strength": 1.0, "set_area_to_bounds": False}]]


def with_mask(conditioning, mask):
    return [[conditioning[0][0], conditioning[0][1] | {"mask": mask, "mask_strength": 1.0, "set_area_to_bounds": False}]]


@pytest.mark.parametrize("method", METHODS)
def test_areas_and_masks(oracle, method):
    mask = torch.zeros(1, 16, 16)
    mask[:, :, :8] = 1
    several = with_area(oracle.positive_A, (16, 8, 0, 0)) + with_area(oracle.positive_B, (16, 8, 0, 8)) + with_mask(oracle.positive_A, mask)
    plain = draw(oracle, positive=several)
    same = patch_prompt(oracle.model, everything(oracle.model), several, method=method)
    assert torch.equal(draw(oracle, same, positive=several), plain)
    one_for_all = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B, method=method)
    assert (draw(oracle, one_for_all, positive=several) - plain).abs().max() > 1e-2


def test_the_number_of_entries_must_match(oracle):
    patched = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B + oracle.positive_B)
    with pytest.raises(ValueError, match="2 entries, the source's has 1"):
        draw(oracle, patched)


@pytest.mark.parametrize("method", METHODS)
def test_image_to_image_and_later_steps(oracle, method):
    latent = torch.linspace(-1, 1, oracle.noise.numel()).reshape(oracle.noise.shape)
    patched = patch_prompt(oracle.model, everything(oracle.model), oracle.positive_A, method=method)
    for options in ({"denoise": 0.6}, {"start_step": 2, "last_step": 4, "force_full_denoise": True}):
        assert torch.equal(draw(oracle, patched, latent=latent, **options), draw(oracle, latent=latent, **options))
    edit = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B, method=method)
    assert (draw(oracle, edit, latent=latent, denoise=0.6) - draw(oracle, latent=latent, denoise=0.6)).abs().max() > 1e-2


def test_a_second_copy_adds_up(oracle):
    both = draw(oracle, patch_prompt(oracle.model, layers(oracle.model, "2, 4"), oracle.positive_B))
    first = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B)
    chained = draw(oracle, patch_prompt(first, layers(oracle.model, "4"), oracle.positive_B))
    assert torch.equal(both, chained)
    overruled = patch_prompt(first, layers(oracle.model, "2"), oracle.positive_A, oracle.negative)
    assert torch.equal(draw(oracle, overruled), draw(oracle))
    by_head = patch_prompt(first, layers(oracle.model, "4:0"), oracle.positive_B)
    assert torch.equal(draw(oracle, by_head), draw(oracle, patch_prompt(oracle.model, layers(oracle.model, "2, 4:0"), oracle.positive_B)))


def test_the_last_of_two_on_a_layer_counts_on_the_sources_latents(sd3):
    first = patch_prompt(sd3.model, layers(sd3.model, "2"), sd3.positive_B, method=SAME_LATENTS)
    overruled = patch_prompt(first, layers(sd3.model, "2"), sd3.positive_A, sd3.negative, method=SAME_LATENTS)
    assert torch.equal(draw(sd3, overruled), draw(sd3))


@pytest.mark.parametrize("index", [1, 2])
def test_all_heads_by_number_are_the_whole_layer(oracle, index):
    name = models.layer_names(oracle.model)[index]
    count = models.family_of(oracle.model).head_counts(oracle.model.get_model_object("diffusion_model"))[name]
    whole = draw(oracle, patch_prompt(oracle.model, layers(oracle.model, str(index)), oracle.positive_B))
    by_head = layers(oracle.model, f"{index}:{'+'.join(map(str, range(count)))}")
    found = draw(oracle, patch_prompt(oracle.model, by_head, oracle.positive_B))
    assert (whole - found).abs().max() < 2e-3 * whole.abs().max()


def test_the_model_is_unharmed(oracle):
    before = draw(oracle)
    options = str(oracle.model.model_options)
    patched = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B)
    draw(oracle, patched)
    assert torch.equal(draw(oracle), before)

    def interrupt(step, x0, x, total):
        if step == 2:
            raise comfy.model_management.InterruptProcessingException

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        draw(oracle, patched, callback=interrupt)
    assert torch.equal(draw(oracle), before)
    with pytest.raises(ValueError):
        draw(oracle, patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B, start=99))
    assert torch.equal(draw(oracle), before)
    assert str(oracle.model.model_options) == options
    again = draw(oracle, patched)
    assert torch.equal(again, draw(oracle, patched))


def test_progress_counts_the_targets_run(sd3):
    seen = []
    patched = patch_prompt(sd3.model, layers(sd3.model, "2"), sd3.positive_B)
    draw(sd3, patched, callback=lambda step, x0, x, total: seen.append((step, total)))
    assert seen == [(step, 2 * STEPS) for step in range(2 * STEPS)]


def test_the_deepest_layer_bounds_the_cost_on_the_sources_latents(sd3):
    probe = Probe(sd3.model)
    draw(sd3, patch_prompt(probe.model, layers(sd3.model, "1"), sd3.positive_B, method=SAME_LATENTS), steps=1)
    assert len(probe.calls) == 1 + 6  # the target goes through block 0 and stops in block 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": -1}, "counts from 0"),
        ({"start": Share(1.0)}, "less than 1"),
        ({"start": Share(-0.1)}, "0 or more"),
        ({"method": "both"}, "no method"),
        ({"positive": []}, "empty"),
        ({"positive": [[torch.zeros(1, 4, 768 + 5), {"pooled_output": torch.zeros(1, 8)}]]}, "another text encoder"),
    ],
)
def test_bad_input_is_one_clear_error(oracle, change, message):
    arguments = {"text_layers": layers(oracle.model, "2"), "positive": oracle.positive_B, **change}
    with pytest.raises(ValueError, match=message):
        patch_prompt(oracle.model, **arguments)


def test_layers_of_another_architecture_are_refused(sdxl, sd3):
    with pytest.raises(ValueError, match="another architecture"):
        patch_prompt(sdxl.model, layers(sd3.model, "2"), sdxl.positive_B)
    mine = layers(sdxl.model, "2")
    with pytest.raises(ValueError, match="no text layer"):
        patch_prompt(sdxl.model, TextLayers(mine.family, mine.architecture, ("elsewhere.attn2",)), sdxl.positive_B)
    with pytest.raises(ValueError, match="there is no head 9"):
        layers(sdxl.model, "2:9")


def test_a_start_past_the_end_is_an_error(oracle):
    patched = patch_prompt(oracle.model, layers(oracle.model, "2"), oracle.positive_B, start=STEPS + 1)
    with pytest.raises(ValueError, match=f"runs {STEPS} steps"):
        draw(oracle, patched)


def test_a_share_of_the_steps_is_rounded_as_it_is_written():
    """Half a step up, whatever binary numbers make of hundredths; of no step none is patched."""
    for steps in range(1, 101):
        for hundredths in range(100):
            whole, rest = divmod(hundredths * steps, 100)
            assert Share(hundredths / 100).of(steps) == min(whole + (2 * rest >= 100), steps - 1)
    assert Share(0.08).of(0) == 0


@pytest.mark.parametrize(("share", "steps", "start"), [(0.08, 5, 0), (0.3, 5, 2), (0.99, 5, 4), (0.99, 1, 0), (0.5, 2, 1)])
def test_a_share_of_the_steps_is_the_step_of_each_number(tiny, share, steps, start):
    """One patched model for runs of any number of steps, of which the last is always patched."""
    patched = patch_prompt(tiny.model, layers(tiny.model, "1"), tiny.positive_B, start=Share(share))
    wanted = patch_prompt(tiny.model, layers(tiny.model, "1"), tiny.positive_B, start=start)
    edit = draw(tiny, patched, steps=steps)
    assert torch.equal(edit, draw(tiny, wanted, steps=steps))
    assert (edit - draw(tiny, steps=steps)).abs().max() > 1e-3
