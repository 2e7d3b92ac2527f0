"""What stands in the source's conditioning beside its text is the source's for the target, too; what a target brings of its own is refused.

The identities of all classes are checks c and g of benchmarks/families; here is what they leave out.
"""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching import models
from text_layers.patching.patch import METHODS, patch_prompt
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

TINY = {tiny.kind: tiny for tiny in reversed(MODELS) if tiny.exists}
ONE = ("Flux", "Flux2", "FluxInpaint", "Omnigen2", "QwenImage", "HiDream", "Chroma", "SDXL")


@lru_cache(maxsize=1)
def bench_of(kind):
    if kind not in TINY:
        pytest.skip("this ComfyUI does not have it")
    return replace(benchmark.bench_of(TINY[kind]), entries=1)


def with_values(conditioning, **values):
    return [[embeddings, extra | values] for embeddings, extra in conditioning]


def edit(bench, positive, negative=None, method=METHODS[0], layers=None):
    chosen = models.written(bench.model, ", ".join(layers or bench.names[1:2]))
    return patch_prompt(bench.model, chosen, positive, negative, method=method)


@pytest.mark.parametrize("kind", ONE)
def test_what_the_target_has_of_the_kind_is_not_asked(kind):
    """Another guidance, reference, hole or size on the target: the source's stays, as for a target without."""
    bench = bench_of(kind)
    ((embeddings, extra),) = bench.encoded(1)
    others = bench.tiny.conditioning(1, bench.lengths[1], number=1)[0][1]
    assert set(others) > set(extra)
    for method in bench.methods:
        drawn = bench.draw(bench.prompt(0), edit(bench, [[embeddings, extra]], method=method))
        other = bench.draw(bench.prompt(0), edit(bench, [[embeddings, extra | others]], method=method))
        assert (drawn - other).abs().max() == 0
        assert (drawn - bench.draw(bench.prompt(0))).abs().max() > 0


@pytest.mark.parametrize("kind", ["Flux", "SDXL"])
def test_one_target_for_two_entries_has_what_each_of_them_has(kind):
    """As if it had been given twice."""
    bench = replace(bench_of(kind), entries=2)
    text = bench.encoded(1)[:1]
    for method in bench.methods:
        once, twice = (bench.draw(bench.prompt(0), edit(bench, text * n, method=method)) for n in (1, 2))
        assert (once - twice).abs().max() == 0 < (once - bench.draw(bench.prompt(0))).abs().max()


OF_ITS_OWN = {
    "area": {"area": (4, 6, 0, 0), "strength": 1.0, "set_area_to_bounds": False},
    "mask": {"mask": torch.ones(1, 8, 12), "mask_strength": 1.0, "set_area_to_bounds": False},
    "strength": {"strength": 0.5},
    "time range": {"start_percent": 0.0, "end_percent": 0.5},
    "empty time range": {"start_percent": 0.0, "end_percent": 0.0},
}


@pytest.mark.parametrize("what", OF_ITS_OWN)
@pytest.mark.parametrize("kind", ["Flux", "SDXL", "PixArtAlpha"])
def test_a_targets_own_place_or_time_is_refused(kind, what):
    bench = bench_of(kind)
    own = with_values(bench.encoded(1), **OF_ITS_OWN[what])
    for method in bench.methods:
        with pytest.raises(ValueError, match=what.removeprefix("empty ")):
            bench.draw(bench.prompt(0), edit(bench, own, method=method))


@pytest.mark.parametrize("what", ["area", "mask", "strength", "time range"])
@pytest.mark.parametrize("kind", ["Flux", "SDXL"])
def test_the_sources_own_place_or_time_counts(kind, what):
    """A target with the same, or with none, is the same target."""
    bench = bench_of(kind)
    values = OF_ITS_OWN[what]
    source = with_values(bench.prompt(0), **values)
    plain = bench.draw(source)
    for method in bench.methods:
        same = edit(bench, bench.encoded(0), bench.encoded(2), method, bench.names)
        assert (bench.draw(source, same) - plain).abs().max() == 0
        copied = {key: value.clone() if torch.is_tensor(value) else value for key, value in values.items()}
        drawn, given = (
            bench.draw(source, edit(bench, target, method=method)) for target in (bench.encoded(1), with_values(bench.encoded(1), **copied))
        )
        assert (drawn - given).abs().max() == 0
        assert (drawn - plain).abs().max() > 0


# Class -> what another text encoder makes of a prompt: the fields of `extra` that are left out or another.
OTHER_ENCODERS = {
    "SDXL": {"pooled_output": torch.ones(1, 6)},
    "SD3": {"pooled_output": torch.ones(1, 6)},
    "Flux": {"pooled_output": torch.ones(1, 6)},
    "HiDream": {"conditioning_llama3": None},
    "HunyuanDiT": {"conditioning_mt5xl": None, "attention_mask_mt5xl": None},
    "Anima": {"t5xxl_ids": None, "t5xxl_weights": None},
}


@pytest.mark.parametrize("kind", OTHER_ENCODERS)
def test_a_target_of_another_text_encoder_is_refused(kind):
    """Embeddings of the same width, but another layout beside them."""
    bench = bench_of(kind)
    ((embeddings, extra),) = bench.encoded(1)
    target = {key: value for key, value in (extra | OTHER_ENCODERS[kind]).items() if value is not None or key not in OTHER_ENCODERS[kind]}
    for method in bench.methods:
        with pytest.raises(ValueError, match=r"CLIP|text encoder|encode"):
            bench.draw(bench.prompt(0), edit(bench, [[embeddings, target]], method=method))
