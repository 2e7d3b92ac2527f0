"""Every text-to-image class of ComfyUI: the checks of benchmarks/families on tiny models, and the layer tables at full size."""

from dataclasses import replace

import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching import models
from text_layers.patching.adapters import FAMILIES
from text_layers.patching.patch import METHODS
from text_layers.testing.full_size import Looked
from text_layers.testing.tiny_models import MODELS, NEWER
from text_layers.testing.tiny_models.model import OLD

SERVED = [tiny for tiny in MODELS if tiny.family and tiny.exists]
FULL = [tiny for tiny in MODELS if tiny.full and tiny.exists]
FIRST = {tiny.family: tiny for tiny in reversed(SERVED)}
OTHERS = [tiny for tiny in SERVED if FIRST[tiny.family] is not tiny]


def by_kind(tiny):
    return tiny.kind


@pytest.fixture(scope="module", params=list(FIRST.values()), ids=by_kind)
def bench(request):
    """Of one class of each family."""
    return benchmark.bench_of(request.param)


# With the oldest ComfyUI none: what could differ there is how a family's blocks are called.
@pytest.fixture(scope="module", params=[] if OLD else OTHERS, ids=by_kind)
def other(request):
    """Of the other classes, which share the family's adapter and its mechanism. benchmarks.families tries all checks on all of them."""
    return benchmark.bench_of(request.param)


# What an entry carries beside its text is merged in the same way on every ComfyUI.
MARKS = {"g": pytest.mark.any_comfyui}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in benchmark.CHECKS])
def test_checks(bench, name):
    if name == "f" and bench.tiny.unkept:
        keep_is_refused(bench)
    else:
        benchmark.CHECKS[name](bench)


def keep_is_refused(bench):
    with pytest.raises(AssertionError, match=bench.tiny.unkept):  # and not that it was not refused
        benchmark.f(bench)


def test_both_methods_agree_in_the_first_step(bench):
    both_methods_agree(bench)


def both_methods_agree(bench):
    """There the target's own run is at the source's latents. Whatever a conditioning holds must reach the model in both ways."""
    n = bench.tiny.tokens
    bench = replace(bench, lengths=(n, n - 3, n + 1, n - 1) if bench.tiny.length_matters else bench.lengths)
    plain = bench.draw(bench.prompt(0), steps=1)
    own, same = (bench.draw(bench.prompt(0), bench.edit(bench.names, method=method), steps=1) for method in METHODS)
    assert not torch.equal(own, plain)
    assert (same - own).abs().max() <= benchmark.TOLERANCE * (own - plain).abs().max()


def test_other_classes_have_the_familys_text_layers(other):
    """a: where they are, how many, and where their text stands, is what a class may have changed."""
    assert models.family_of(other.model).name == other.tiny.family
    benchmark.a(other)


def test_other_classes_are_patched_as_the_family(other):
    """c and d in short: nothing changes with the source's own text, whatever other nodes gave it, and with the target's as the second
    implementation says, by both methods."""
    beside = replace(other, entries=1)
    assert torch.equal(beside.draw(beside.prompt(0), beside.same()), beside.draw(beside.prompt(0)))
    ours, theirs, size = benchmark.compared(other, [other.names[len(other.names) // 2]])
    assert (ours - theirs).abs().max() <= benchmark.TOLERANCE * size
    both_methods_agree(other)
    if other.tiny.unkept:
        keep_is_refused(other)


def test_the_model_belongs_to_the_family_that_is_said(bench):
    assert models.family_of(bench.model).name == bench.tiny.family


@pytest.mark.parametrize("tiny", [t for t in MODELS if not t.family and t.exists], ids=by_kind)
def test_a_class_that_cannot_be_served_says_so(tiny):
    with pytest.raises(ValueError, match="text"):
        models.family_of(tiny.build())


@pytest.mark.parametrize("tiny", FULL, ids=by_kind)
def test_layers_and_share_at_full_size(tiny):
    """A layer's text keys and values are well under the paper's 1 % of the model."""
    diffusion_model = tiny.on_meta()
    model = Looked(diffusion_model)
    family = models.family_of(model)
    modules = family.modules(diffusion_model, family.layers)
    assert len(modules) == tiny.full_layers
    total = sum(p.numel() for p in diffusion_model.parameters())
    assert all(0 < family.kv(module) / total < 0.02 for module in modules.values())
    assert set(family.head_counts(diffusion_model)) == set(modules)
    assert models.architecture(model).startswith(f"{tiny.family}-{tiny.full_layers}x")
    for name, module in modules.items():
        assert family.projections(module), f"{name} has none of the projections of a LoRA"


def test_every_family_has_a_tiny_model():
    """DeepFloyd IF is no class of ComfyUI's and has tests of its own."""
    assert {f.name for f in FAMILIES} - {"if"} <= {tiny.family for tiny in [*MODELS, *NEWER]}
