"""What is peculiar to one family of architectures."""

from dataclasses import replace

import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching import models
from text_layers.patching.adapters import lumina, sensenova
from text_layers.patching.conditioning import with_text
from text_layers.patching.patch import METHODS, patch_prompt
from text_layers.testing.tiny_models import MODELS

TINY = {tiny.kind: tiny for tiny in MODELS if tiny.exists}


def bench_of(kind):
    if kind not in TINY:
        pytest.skip(f"this ComfyUI has no {kind}")
    return benchmark.bench_of(TINY[kind])


def kept(bench):
    """What HiDream-O1 keeps of its prompts: (tokens, keys and values of all layers)."""
    return [(entry["input_ids"], entry["kv"]) for entry in bench.diffusion_model._kv_cache_entries]


def test_what_hidream_o1_keeps_of_a_prompt_is_the_prompts_own():
    """Whatever was kept before, and whatever has been put into all layers."""
    fresh = bench_of("HiDreamO1")
    plain = fresh.draw(fresh.prompt(0))
    used = bench_of("HiDreamO1")
    used.draw(used.prompt(1), negative=3)
    patched = used.draw(used.prompt(0), used.edit(used.names))
    ((tokens, own),), ((other_tokens, other),) = kept(fresh), kept(used)[-1:]
    assert torch.equal(tokens, other_tokens) and len(own) == len(fresh.names) and all(own) and not torch.equal(patched, plain)
    assert all(torch.equal(x, y) for layer, other_layer in zip(own, other, strict=True) for x, y in zip(layer, other_layer, strict=True))
    assert torch.equal(used.draw(used.prompt(0)), plain)
    used.diffusion_model.clear_kv_cache()
    assert torch.equal(used.draw(used.prompt(0), used.edit(used.names)), patched)


class WithoutNegative(benchmark.Bench):
    def prompt(self, which, beside=True):
        return [[None, {}]] if which > 1 else super().prompt(which, beside)

    def edit(self, layers, **options):
        return patch_prompt(self.model, models.written(self.model, ", ".join(layers)), self.prompt(1), **options)


def test_ideogram_without_a_negative_prompt():
    """Its unconditional call has the picture alone: nothing is put there, and the conditional one is patched as ever."""
    bench = bench_of("Ideogram4")
    bench = WithoutNegative(bench.tiny, bench.model, lengths=bench.lengths)
    ours, theirs, size = benchmark.compared(bench, bench.names[1:])
    assert (ours - theirs).abs().max() <= benchmark.TOLERANCE * size
    own, same = (bench.draw(bench.prompt(0), bench.edit(bench.names, method=method), steps=1) for method in METHODS)
    assert torch.equal(own, same) and not torch.equal(own, bench.draw(bench.prompt(0), steps=1))


def test_ming_images_second_piece_of_text_is_the_targets():
    """Its encoder gives it beside the embeddings; a reference picture, which stands there as well, stays the source's."""
    words = [torch.full((1, 3, 4), float(n)) for n in range(4)]
    source = {"cross_attn": words[0], "direct_context": words[1], "reference_latents": [words[0]], "model_conds": {}}
    target = {"cross_attn": words[2], "direct_context": words[3], "model_conds": {}}
    (texted,) = with_text(lumina.FAMILY, "positive", [source], [target])
    assert texted["cross_attn"] is words[2] and texted["direct_context"] is words[3] and texted["reference_latents"][0] is words[0]


def test_sensenovas_reference_pictures_are_refused():
    text = {"cross_attn": torch.ones(1, 3, 1), "text_input_ids": torch.ones(1, 3, dtype=torch.long), "model_conds": {}}
    assert with_text(sensenova.FAMILY, "positive", [text], [text])
    with pytest.raises(RuntimeError, match=r"SenseNova U1\.5 has its reference pictures amid the text"):
        with_text(sensenova.FAMILY, "positive", [text | {"reference_latents": [torch.ones(1, 3, 8, 8)]}], [text])


def test_layers_that_attend_in_another_method_than_forward(monkeypatch):
    """As SenseNova's, which no ComfyUI of the suite has: Lumina's layers are made so, and give the same bits."""
    bench = bench_of("Lumina2")
    plain, patched = (bench.draw(bench.prompt(0), model) for model in (None, bench.edit(bench.names[1:2])))
    layer = bench.diffusion_model.get_submodule(bench.names[1])
    monkeypatch.setattr(type(layer), "attend", type(layer).forward, raising=False)
    monkeypatch.setattr(type(layer), "__call__", lambda self, *args, **kwargs: self.attend(*args, **kwargs))
    monkeypatch.setattr(models, "FAMILIES", (replace(lumina.FAMILY, method="attend"),))
    assert torch.equal(bench.draw(bench.prompt(0), bench.edit(bench.names[1:2])), patched)
    assert torch.equal(bench.draw(bench.prompt(0)), plain) and not torch.equal(plain, patched)
    assert not {"attend", "forward"} & set(vars(layer))
    monkeypatch.setattr(models, "FAMILIES", (lumina.FAMILY,))
    with pytest.raises(RuntimeError, match="was not called for the target"):
        bench.draw(bench.prompt(0), bench.edit(bench.names[1:2]))
