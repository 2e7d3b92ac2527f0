"""Files that peft has written, against the weights into which peft itself merges them."""

import comfy.lora
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from text_layers.lora.files import read
from text_layers.lora.load import load_lora
from text_layers.patching import models
from text_layers.testing.tiny_models import MODELS

from ..patching.diffusers_models import PAIRS

pytestmark = pytest.mark.any_comfyui

TINY = {tiny.kind: tiny for tiny in MODELS}


def peft_file(theirs, path, config, prefix="transformer."):
    """Writes what peft gives for random adapters, and returns theirs with them merged: {path of a module: (weight, bias)}"""
    inject_adapter_in_model(config, theirs)
    generator = torch.Generator().manual_seed(4)
    for name, p in theirs.named_parameters():
        if "lora_" in name:
            change = 0.3 * torch.randn(p.shape, generator=generator)
            p.data = (p.data * (1 + change.abs()) if "magnitude" in name else change).contiguous()
    tensors = get_peft_model_state_dict(theirs)
    save_file({f"{prefix}{name}": w.contiguous() for name, w in tensors.items()}, path)
    merged = {}
    for name, module in theirs.named_modules():
        if isinstance(module, LoraLayer):
            module.merge()
            merged[name] = module.get_base_layer()
    return merged


@pytest.mark.parametrize("dora", [True, False], ids=["DoRA", "bias"])
def test_weights_are_those_that_peft_merges(tmp_path, dora):
    """Flux, whose queries, keys and values are one weight in ComfyUI and three in diffusers: 1e-5, as float32 rounds."""
    pair = next(pair for pair in PAIRS if pair.name == "Flux dev")
    model, theirs = pair.build()
    modules = r"(single_)?transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|add_q_proj)"
    config = LoraConfig(r=2, lora_alpha=2, target_modules=modules, use_dora=dora, lora_bias=not dora)
    merged = peft_file(theirs, tmp_path / "lora.safetensors", config)
    layers = models.written(model, f"0-{len(models.layer_names(model)) - 1}")
    loaded = load_lora(read(tmp_path / "lora.safetensors"), model, layers, 1.0, 1.0)
    assert f"Keys: {3 * len(merged)} of {3 * len(merged)} are used." in loaded.report
    hidden, weights = 32, model.model.state_dict()
    after = {key: comfy.lora.calculate_weight(patches, weights[key].clone(), key) for key, patches in loaded.model.patches.items()}
    compared = 0
    for name, base in merged.items():
        block, number, _, projection = name.split(".", 3)
        if block == "single_transformer_blocks":
            ours = f"single_blocks.{number}.linear1"
        else:
            ours = f"double_blocks.{number}.{'txt' if 'add' in projection else 'img'}_attn.{'proj' if 'out' in projection else 'qkv'}"
        first = hidden * "qkv".index(projection.removeprefix("to_").removeprefix("add_")[0]) if "out" not in projection else 0
        part = slice(first, first + hidden)
        for kind in ("weight",) if dora else ("weight", "bias"):
            key = f"diffusion_model.{ours}.{kind}"
            theirs_now = getattr(base, kind)
            assert not theirs_now.equal(weights[key][part])
            assert torch.allclose(after[key][part], theirs_now, atol=1e-5), (key, projection)
            compared += 1
    assert compared == len(merged) * (1 if dora else 2) and len(merged) == 2 * 5 + 3 * 3


def test_half_the_strength_goes_half_the_way(tmp_path):
    model = TINY["QwenImage"].build()
    weight = model.model.state_dict()["diffusion_model.transformer_blocks.1.attn.to_q.weight"]
    random = torch.Generator().manual_seed(2)
    name = "transformer.transformer_blocks.1.attn.to_q"
    tensors = {f"{name}.lora_A.weight": torch.randn(2, weight.shape[1], generator=random),
               f"{name}.lora_B.weight": torch.randn(weight.shape[0], 2, generator=random),
               f"{name}.lora_magnitude_vector.weight": torch.rand(weight.shape[0], generator=random)}  # fmt: skip
    save_file(tensors, tmp_path / "lora.safetensors")
    file, layers = read(tmp_path / "lora.safetensors"), models.written(model, "1")
    whole, half = (
        comfy.lora.calculate_weight(patches, weight.clone(), "w")
        for strength in (1.0, 0.5)
        for patches in load_lora(file, model, layers, strength).model.patches.values()
    )
    assert torch.allclose(half, (weight + whole) / 2, atol=1e-6)
    assert torch.allclose(whole.norm(dim=1), tensors[f"{name}.lora_magnitude_vector.weight"], atol=1e-5)
