"""Prompts with an attention mask: what a mask hides is as if it were not there, in the source's prompt and in the target's."""

from dataclasses import replace

import comfy.sample
import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching import models
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS
from text_layers.patching.sweep import Swap, swap_rows
from text_layers.testing.attention_probe import recorded, replayed
from text_layers.testing.tiny_models import MODELS

SOURCE, TARGET = 10, 13  # lengths of prompts
HIDDEN = {SOURCE: (2, 8, 9), TARGET: (0, 5)}
MASKED = [tiny for tiny in MODELS if tiny.kind in ("QwenImage", "MageFlow", "Ideogram4", "Lens") and tiny.exists]


def mask(tokens, hidden):
    return {"attention_mask": torch.tensor([[int(n not in hidden) for n in range(tokens)]])}


# ComfyUI 0.3's Qwen-Image hands the mask to no attention.
LOOKS_AT_IT = {"QwenImage": pytest.mark.needs_comfyui("0.30")}


@pytest.fixture(scope="module", params=[pytest.param(t, marks=LOOKS_AT_IT.get(t.kind, ()), id=t.kind) for t in MASKED])
def bench(request):
    return replace(benchmark.bench_of(request.param), lengths=(SOURCE, TARGET, SOURCE, TARGET))


def with_masks(bench, lengths):
    """Prompts of these lengths have masks."""
    tiny = replace(bench.tiny, extra=lambda random, tokens: mask(tokens, HIDDEN[tokens]) if tokens in lengths else {})
    return replace(bench, tiny=tiny)


def without_hidden_tokens(bench, layer, masked):
    """The picture when the chosen layer has, in the place of all text, the target's tokens that are not hidden, and no mask."""
    bench = replace(bench, memory_is_short=True)
    with recorded(bench.diffusion_model) as target:
        bench.draw(bench.prompt(1), negative=3)
    waiting = {}
    for call in target:
        waiting.setdefault(call.sides, []).append(call)

    def change(call):
        own, given = bench.text(call), waiting[call.sides].pop(0)
        if own is None or benchmark.layer_of(bench, call) != layer:
            return call
        text = bench.text(given)
        seen = [text.start + n for n in range(TARGET) if TARGET not in masked or n not in HIDDEN[TARGET]]
        others = [n for n in range(call.k.shape[2]) if not own.start <= n < own.stop]
        call.k, call.v = (torch.cat([new[:, :, seen], old[:, :, others]], 2) for new, old in ((given.k, call.k), (given.v, call.v)))
        call.mask = None
        return call

    with replayed(bench.diffusion_model, change):
        return bench.draw(bench.prompt(0))


@pytest.mark.parametrize("masked", [(SOURCE, TARGET), (SOURCE,), (TARGET,)], ids=["both", "source", "target"])
def test_hidden_tokens_are_as_if_they_were_not_there(bench, masked):
    bench = with_masks(bench, masked)
    layer = bench.names[1]
    plain, ours = bench.draw(bench.prompt(0)), bench.draw(bench.prompt(0), bench.edit([layer]))
    size = (ours - plain).abs().max()
    theirs = without_hidden_tokens(bench, layer, masked)
    assert (ours - theirs).abs().max() <= benchmark.TOLERANCE * size
    if TARGET in masked:
        seen = without_hidden_tokens(bench, layer, ())
        assert (ours - seen).abs().max() > 10 * benchmark.TOLERANCE * size


@pytest.mark.parametrize("masked", [(SOURCE, TARGET), (SOURCE,), (TARGET,)], ids=["both", "source", "target"])
def test_on_the_sources_latents_the_mask_is_the_targets(bench, masked):
    # In the first step both methods have the same latents.
    bench = with_masks(bench, masked)
    own, same = (bench.draw(bench.prompt(0), bench.edit(bench.names, method=method), steps=1) for method in (OWN_RUN, SAME_LATENTS))
    assert torch.equal(own, same) and not torch.equal(own, bench.draw(bench.prompt(0), steps=1))


def test_a_row_takes_the_mask_with_the_text(bench):
    def prompt(which, hidden):
        ((embeddings, _),) = bench.tiny.conditioning(which, SOURCE)
        return embeddings, mask(SOURCE, hidden)["attention_mask"]

    def conditioning(*prompts):
        embeddings, masks = zip(*prompts, strict=True)
        return [[torch.cat(embeddings), {"attention_mask": torch.cat(masks)}]]

    def draw(model, positive, negative, rows):
        noise = bench.tiny.noise().repeat(rows, *[1] * len(bench.tiny.latent))
        return comfy.sample.sample(model, noise, 2, 4.0, "euler", "simple", positive, negative, torch.zeros_like(noise), disable_pbar=True,
                                   seed=1)  # fmt: skip

    source, target, negative = prompt(0, (8, 9)), prompt(1, (1, 2, 3)), prompt(2, (9,))
    layer = bench.names[1]
    model = swap_rows(bench.model, [None, None, Swap((layer,), 1)])
    ours = draw(model, conditioning(source, target, source), conditioning(negative, negative, negative), 3)[2:]
    patched = benchmark.patch_prompt(bench.model, models.written(bench.model, layer), conditioning(target), conditioning(negative))
    theirs = draw(patched, conditioning(source), conditioning(negative), 1)
    plain = draw(bench.model, conditioning(source), conditioning(negative), 1)
    assert (ours - theirs).abs().max() <= benchmark.TOLERANCE * (theirs - plain).abs().max()
