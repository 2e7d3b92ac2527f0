"""Models that do not hold their weights as they compute with them, or are compiled: fp8, bf16, half loaded, GGUF's way, torch.compile.

Each has a twin that computes the same with ordinary weights. Patching must do to both the same, nothing where source = target, and leave
the model as it was.
"""

from dataclasses import replace
from fnmatch import fnmatch

import comfy.ops
import pytest
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from text_layers.benchmarks.families.checks import Bench
from text_layers.patching import models
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS, patch_prompt
from text_layers.testing.tiny_models import MODELS

from .half_loaded import HalfLoaded

# Cross-attention by injection and by capture, joint attention, and joint attention with single blocks.
TINY = {tiny.kind: tiny for tiny in reversed(MODELS) if tiny.kind in ("KOALA_700M", "PixArtAlpha", "SD3", "Flux")}
FP8 = torch.float8_e4m3fn
SAME = 1e-5  # of what patching changes: the same operations on the same numbers


def bench_of(tiny, model):
    return Bench(tiny, model, lengths=(tiny.tokens, tiny.tokens - 2, tiny.tokens, tiny.tokens))


def twin(tiny, weights, dtype=torch.float32):
    """The model with ordinary weights of these values."""
    model = tiny.build(dtype)
    model.model.diffusion_model.load_state_dict({name: w.to(dtype) for name, w in weights.items()})
    return model


def check(tiny, model, reference, tolerance, method=OWN_RUN):
    bench, ordinary = bench_of(tiny, model), bench_of(tiny, reference)
    plain = bench.draw(bench.prompt(0))
    everywhere = models.written(model, ", ".join(bench.names))
    same = patch_prompt(model, everywhere, bench.prompt(0), bench.prompt(2), method=method)
    assert torch.equal(bench.draw(bench.prompt(0), same), plain)
    layers = [bench.names[0], bench.names[-1]]
    edit = bench.draw(bench.prompt(0), bench.edit(layers, method=method))
    wanted = ordinary.draw(ordinary.prompt(0), ordinary.edit(layers, method=method))
    size = (wanted - ordinary.draw(ordinary.prompt(0))).abs().max()
    assert size > 1e-3 * wanted.abs().max(), "patching does something"
    assert (edit - wanted).abs().max() <= tolerance * size
    assert torch.equal(bench.draw(bench.prompt(0)), plain)


@pytest.fixture(params=TINY)
def tiny(request):
    return TINY[request.param]


@pytest.mark.parametrize(("compute", "method"), [(torch.float32, OWN_RUN), (torch.bfloat16, SAME_LATENTS)])
def test_weights_in_fp8(tiny, compute, method):
    model = tiny.build(FP8, compute)
    weights = model.model.diffusion_model.state_dict()
    assert FP8 in {w.dtype for w in weights.values()}
    check(tiny, model, twin(tiny, weights, compute), SAME, method)


@pytest.mark.any_comfyui
def test_bfloat16(tiny):
    """The patched picture is as near to float32's as the unpatched one is: random weights blow up what 8 bits round off."""
    model = tiny.build(torch.bfloat16)
    reference = twin(tiny, model.model.diffusion_model.state_dict())
    low, high = bench_of(tiny, model), bench_of(tiny, reference)
    rounded, exact = ((b.draw(b.prompt(0)), b.draw(b.prompt(0), b.edit(b.names[-1:]))) for b in (low, high))
    errors = [(a - b).norm() for a, b in zip(rounded, exact, strict=True)]
    assert errors[1] <= 2 * errors[0]
    check(tiny, model, model, SAME)


def test_loaded_by_halves_with_a_lora(tiny):
    whole, model = tiny.build(), tiny.build()
    half = HalfLoaded(model.model, model.load_device, model.offload_device)
    generator = torch.Generator().manual_seed(0)
    change = {
        "diffusion_model." + name: (0.1 * torch.randn(w.shape, generator=generator),)
        for name, w in whole.model.diffusion_model.named_parameters()
        if w.ndim == 2 and name.endswith("weight")
    }
    for patcher in (whole, half):
        assert patcher.add_patches(change)
    check(tiny, half, whole, 1e-3)
    assert half.model.lowvram_patch_counter > 0 and half.model.model_lowvram, "the model was loaded completely"


class Quantized(comfy.ops.manual_cast):
    """Operations like ComfyUI-GGUF's: a Linear holds codes that no other code can read, and makes a weight of them at each use."""

    class Linear(comfy.ops.manual_cast.Linear):
        def quantize(self):
            weight = self.weight.detach().float()
            self.scale = weight.abs().amax() / 127
            self.codes = (weight / self.scale).round().to(torch.int8)
            self.weight = None

        def dequantized(self):
            return self.codes.float() * self.scale

        def forward(self, x):
            bias = None if self.bias is None else self.bias.to(x)
            return torch.nn.functional.linear(x, self.dequantized().to(x), bias)


def test_quantized_by_custom_operations(tiny):
    model = replace(tiny, attributes={**tiny.attributes, "custom_operations": Quantized}).build()
    weights = dict(model.model.diffusion_model.state_dict())
    for name, module in model.model.diffusion_model.named_modules():
        if isinstance(module, Quantized.Linear):
            module.quantize()
            weights[name + ".weight"] = module.dequantized()
    assert any(not w.equal(v) for w, v in zip(weights.values(), tiny.build().model.diffusion_model.state_dict().values(), strict=True))
    check(tiny, model, twin(tiny, weights), SAME)


# Whole models, and blocks one by one as packs for video compile them. A U-Net's blocks are lists, which ComfyUI walks through.
BLOCKS = {
    "KOALA_700M": "*_blocks.*.*.transformer_blocks.*", "PixArtAlpha": "blocks.*", "SD3": "joint_blocks.*", "Flux": "double_blocks.*",
}  # fmt: skip


def skip_transformer_options(guards):
    """What ComfyUI's TorchCompileModel gives: a graph does not ask whether transformer_options have changed."""
    return ["transformer_options" not in guard.name for guard in guards]


def compiled(tiny, blocks):
    patcher = tiny.build()
    modules = patcher.model.named_modules()
    keys = [name for name, _ in modules if fnmatch(name, f"diffusion_model.{BLOCKS[tiny.kind]}") and name[-1].isdigit()]
    options = {"guard_filter_fn": skip_transformer_options}
    set_torch_compile_wrapper(patcher, "eager", options=options, keys=keys if blocks else ["diffusion_model"])
    return patcher


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("kind", "method", "blocks", "first"),  # each way to a target's keys and values; compiling takes long
    [
        ("SD3", OWN_RUN, False, "unpatched"),
        pytest.param("SD3", SAME_LATENTS, True, "patched", marks=pytest.mark.any_comfyui),
        pytest.param("SD3", SAME_LATENTS, False, "patched", marks=pytest.mark.any_comfyui),
        ("PixArtAlpha", OWN_RUN, True, "unpatched"),
        pytest.param("KOALA_700M", OWN_RUN, True, "unpatched", marks=pytest.mark.any_comfyui),
    ],
)
def test_compiled(kind, method, blocks, first, fresh_compiler):
    """Whichever is compiled first, its graph must not be the other's."""
    tiny = TINY[kind]
    ordinary, bench = bench_of(tiny, tiny.build()), bench_of(tiny, compiled(tiny, blocks))
    layers = [bench.names[0], bench.names[-1]]

    def plain(b):
        return b.draw(b.prompt(0), steps=1)

    def edit(b):
        return b.draw(b.prompt(0), b.edit(layers, method=method), steps=1)

    turns = [edit, plain, edit] if first == "patched" else [plain, edit, plain]
    wanted = {draw: draw(ordinary) for draw in (plain, edit)}
    size = (wanted[edit] - wanted[plain]).abs().max()
    assert size > 1e-3 * wanted[plain].abs().max(), "patching does something"
    for draw in turns:
        assert (draw(bench) - wanted[draw]).abs().max() <= SAME * size, draw.__name__
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0, "nothing was compiled"
