"""Models that count the picture's places on from the text's last token, and how a target of another length is put right there.

Nothing of patching/ is used: this is what the models do. In the first text layer no query of the picture has seen any text, so that with
the same latents its scores on a target's keys must be those of the target's own run, whatever text is the source's.
"""

from dataclasses import replace

import pytest
import torch
from comfy.ldm.flux.math import apply_rope1
from text_layers.benchmarks.families import checks as benchmark
from text_layers.testing.attention_probe import recorded
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

# Class -> its module that makes rotations of places, and where a place moves with each token of the text's length.
BEHIND = {
    "Lumina2": (lambda model: model.rope_embedder, (1, 0, 0)),
    "Omnigen2": (lambda model: model.rope_embedder.rope_embedder, (1, 0, 0)),
    "Boogu": (lambda model: model.rope_embedder.rope_embedder, (1, 0, 0)),
    "LongCatImage": (lambda model: model.pe_embedder, (0, 1, 1)),
}
FIXED = ("QwenImage", "Ideogram4", "Krea2", "JoyImage", "Lens")
LONGER = 6


def scores(bench, call, keys):
    """Of the picture's queries: [heads, picture, text]."""
    text, size = bench.text(call), bench.tiny.picture
    q = call.q[:1, :, -size:] if bench.tiny.place == "first" else call.q[:1, :, :size]
    keys = keys.repeat_interleave(q.shape[1] // keys.shape[1], 1)
    assert text is not None
    return q @ keys[:1].transpose(2, 3)


def seen(kind):
    """(bench, first text layer's call of the source, of a longer target)."""
    tiny = next(tiny for tiny in MODELS if tiny.kind == kind)
    if not tiny.exists:
        pytest.skip("this ComfyUI does not have it")
    bench = replace(benchmark.bench_of(tiny), cfg=1.0, lengths=(tiny.tokens, tiny.tokens + LONGER, tiny.tokens, tiny.tokens))
    calls = []
    for which in (0, 1):
        with recorded(bench.diffusion_model) as all_calls:
            bench.draw(bench.prompt(which), steps=1)
        calls.append(benchmark.text_calls(bench, all_calls)[0])
    return bench, *calls


def off(bench, source, target, turn=lambda keys: keys):
    keys = target.k[:, :, bench.text(target)]
    wanted = scores(bench, target, keys)
    return ((scores(bench, source, turn(keys)) - wanted).abs().max() / wanted.abs().max()).item()


@pytest.mark.parametrize("kind", BEHIND)
def test_keys_turned_by_the_difference_are_right(kind):
    bench, source, target = seen(kind)
    embedder, axes = BEHIND[kind]
    place = torch.tensor([[[-LONGER * axis for axis in axes]]], dtype=torch.float32)
    rotation = embedder(bench.diffusion_model)(place)  # [1, 1, 1, d / 2, 2, 2]
    assert off(bench, source, target) > 0.05
    assert off(bench, source, target, lambda keys: apply_rope1(keys, rotation)) < 1e-4


@pytest.mark.parametrize("kind", FIXED)
def test_others_have_the_picture_at_a_place_of_its_own(kind):
    assert off(*seen(kind)) < 1e-4
