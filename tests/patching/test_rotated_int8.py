"""Weights as in ComfyUI's `int8_convrot` files: turned, and kept in eight bits; the numbers that meet them are cut to eight bits as well.

The twin has the same weights as ordinary numbers.
"""

import json
from dataclasses import replace

import comfy.ops
import comfy.sd
import comfy.utils
import pytest
import torch
from safetensors.torch import save_file
from text_layers.lora.files import read
from text_layers.lora.load import load_lora
from text_layers.patching import models
from text_layers.patching.patch import METHODS
from text_layers.testing.tiny_models import MODELS

from .test_gradient import Bench as Slopes
from .test_unusual_models import SAME, bench_of, check, twin

pytestmark = pytest.mark.needs_comfyui("0.30")

QuantizedTensor = pytest.importorskip("comfy_kitchen.tensor").QuantizedTensor
TINY = {tiny.kind: tiny for tiny in reversed(MODELS) if tiny.kind in ("Krea2", "Flux")}
GROUP = 16  # numbers that are turned together; the files have 256


def rotated(tiny):
    """(the model, its twin)"""
    operations = comfy.ops.mixed_precision_ops(compute_dtype=torch.float32)
    model = replace(tiny, attributes={**tiny.attributes, "custom_operations": operations}).build()
    modules = dict(model.model.diffusion_model.named_modules())
    stored, ordinary, turned = {}, {}, 0
    for name, weight in tiny.build().model.diffusion_model.state_dict().items():
        stored[name] = ordinary[name] = weight
        module = modules.get(name.removesuffix(".weight"))
        if isinstance(module, operations.Linear) and name.endswith(".weight") and weight.shape[1] % GROUP == 0:
            kept = QuantizedTensor.from_float(weight, "TensorWiseINT8Layout", per_channel=True, convrot=True, convrot_groupsize=GROUP)
            how = json.dumps({"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": GROUP})
            stored |= {
                **kept.state_dict(name),
                name.removesuffix("weight") + "comfy_quant": torch.tensor(list(how.encode()), dtype=torch.uint8),
            }
            ordinary[name], turned = kept.dequantize(), turned + 1
    assert turned > len(models.layer_names(model))
    model.model.diffusion_model.load_state_dict(stored)
    return model, twin(tiny, ordinary)


@pytest.fixture(scope="module", params=TINY)
def both(request):
    tiny = TINY[request.param]
    return tiny, *rotated(tiny)


@pytest.mark.parametrize("method", METHODS)
def test_the_edit_is_as_near_to_the_twins_as_the_picture_is(both, method):
    tiny, model, reference = both
    low, high = bench_of(tiny, model), bench_of(tiny, reference)
    rounded, exact = ((b.draw(b.prompt(0)), b.draw(b.prompt(0), b.edit(b.names, method=method))) for b in (low, high))
    picture, edit = ((a - b).norm() for a, b in zip(rounded, exact, strict=True))
    assert 0 < edit <= 1.2 * picture < 0.3 * (exact[1] - exact[0]).norm()
    check(tiny, model, model, SAME, method)


def test_a_lora_at_full_strength_is_comfyuis_own(both, tmp_path):
    tiny, model, _ = both
    random = torch.Generator().manual_seed(3)
    lora = {}
    for name, module in model.model.diffusion_model.named_modules():
        if name.startswith(tuple(models.layer_names(model))) and isinstance(getattr(module, "weight", None), QuantizedTensor):
            out, into = module.weight.shape
            lora[f"diffusion_model.{name}.lora_A.weight"] = torch.randn(2, into, generator=random)
            lora[f"diffusion_model.{name}.lora_B.weight"] = torch.randn(out, 2, generator=random)
    save_file(lora, tmp_path / "lora.safetensors")
    layers = models.written(model, ", ".join(models.layer_names(model)[:1]))
    bench = bench_of(tiny, model)
    theirs, _ = comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(str(tmp_path / "lora.safetensors")), 1.0, 0.0)
    plain, wanted = bench.draw(bench.prompt(0)), bench.draw(bench.prompt(0), theirs)
    everywhere = load_lora(read(tmp_path / "lora.safetensors"), model, layers, 1.0, 1.0).model
    inside = load_lora(read(tmp_path / "lora.safetensors"), model, layers, 1.0, 0.0).model
    assert torch.equal(bench.draw(bench.prompt(0), everywhere), wanted) and not torch.equal(wanted, plain)
    assert not torch.equal(bench.draw(bench.prompt(0), inside), wanted) and not torch.equal(bench.draw(bench.prompt(0), inside), plain)
    assert torch.equal(bench.draw(bench.prompt(0)), plain)


def test_the_slope_is_the_twins(both):
    """But for the activations that are cut to eight bits on the way: a tenth of the largest, where pictures differ by a quarter of what an
    edit changes (Krea 2)."""
    tiny, *models_of_both = both
    found, wanted = (
        slopes.slope(dict.fromkeys(slopes.names, 0.5)).by_layer for slopes in (Slopes(tiny, model) for model in models_of_both)
    )
    assert found == pytest.approx(wanted, abs=0.1 * max(map(abs, wanted.values())))
    assert found != wanted
