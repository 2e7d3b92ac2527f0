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


# With the oldest ComfyUI one class of each family: what could differ there is how a family's blocks are called.
@pytest.fixture(scope="module", params=list(FIRST.values()) if OLD else SERVED, ids=lambda tiny: tiny.kind)
def bench(request):
    return benchmark.bench_of(request.param)


# What an entry carries beside its text is merged in the same way on every ComfyUI.
MARKS = {"g": pytest.mark.any_comfyui}
CHECKS = [pytest.param(check, id=name, marks=MARKS.get(name, ())) for name, check in benchmark.CHECKS.items()]
# The longest ones ask nothing that the classes of a family would answer differently: one of each here, and benchmarks.families has all.
FOR_ONE = {benchmark.b, benchmark.e, benchmark.g}


def is_first(bench):
    return FIRST[bench.tiny.family] is bench.tiny


def is_the_second_implementations(bench):
    """d without the wrong variants, which are told apart on one class of the family."""
    ours, theirs, size = benchmark.compared(bench, [bench.names[len(bench.names) // 2]])
    assert (ours - theirs).abs().max() <= benchmark.TOLERANCE * size


@pytest.mark.parametrize("check", CHECKS)
def test_checks(bench, check):
    if check in FOR_ONE and not is_first(bench):
        pytest.skip("another class of the family is tried")
    if check is benchmark.f and bench.tiny.unkept:
        with pytest.raises(AssertionError, match=bench.tiny.unkept):  # and not that it was not refused
            check(bench)
        return
    (is_the_second_implementations if check is benchmark.d and not is_first(bench) else check)(bench)


def test_both_methods_agree_in_the_first_step(bench):
    """There the target's own run is at the source's latents. Whatever a conditioning holds must reach the model in both ways."""
    n = bench.tiny.tokens
    bench = replace(bench, lengths=(n, n - 3, n + 1, n - 1) if bench.tiny.length_matters else bench.lengths)
    plain = bench.draw(bench.prompt(0), steps=1)
    own, same = (bench.draw(bench.prompt(0), bench.edit(bench.names, method=method), steps=1) for method in METHODS)
    assert not torch.equal(own, plain)
    assert (same - own).abs().max() <= benchmark.TOLERANCE * (own - plain).abs().max()


def test_the_model_belongs_to_the_family_that_is_said(bench):
    assert models.family_of(bench.model).name == bench.tiny.family


@pytest.mark.parametrize("tiny", [t for t in MODELS if not t.family and t.exists], ids=lambda tiny: tiny.kind)
def test_a_class_that_cannot_be_served_says_so(tiny):
    with pytest.raises(ValueError, match="text"):
        models.family_of(tiny.build())


@pytest.mark.parametrize("tiny", FULL, ids=lambda tiny: tiny.kind)
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
