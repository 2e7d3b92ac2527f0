"""Every kind of LoRA file that people have: what is used of it, and that nothing is left out without a word."""

import re

import comfy.lora
import comfy.sd
import pytest
import torch
from safetensors.torch import save_file
from text_layers.benchmarks.lora.file_set import CASES, write
from text_layers.benchmarks.lora.files import row
from text_layers.benchmarks.lora.models import model_of
from text_layers.lora import storage
from text_layers.lora.files import LoraFile, read
from text_layers.lora.formats import endings, module_of
from text_layers.lora.load import cut, load_lora
from text_layers.lora.metadata import LoraTensors, peft_scale, steps
from text_layers.patching import models


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_what_becomes_of_it(tmp_path, case):
    write(tmp_path, [case])
    found = row(tmp_path / case.file, case.model)
    expected = {-1: range(1, found["keys"]), -2: [found["keys"]]}.get(case.unused, [case.unused])
    assert found["keys"] > 0 and found["used"] + len(found["unused"]) == found["keys"] and len(found["unused"]) in expected
    assert found["changed_elsewhere_at_1_0"] is False
    assert (found["error"] is not None) == bool(case.refused) and case.refused in (found["error"] or "")
    refused = case.refused or case.refused_at_1_1
    assert (found["error_at_1_1"] is not None) == bool(refused) and refused in (found["error_at_1_1"] or "")
    if not refused:
        assert found["equals_stock_but_for_these"] and bool(found["beyond_stock"]) == case.beyond != found["equals_stock_at_1_1"]
    for said in (found["report"], found["error"], found["error_at_1_1"]):
        assert said is None or len(said) < 3000
    if case.refused:
        return
    numbers = re.search(r"Keys: (\d+) of (\d+) are used(?:, (\d+) are where the strength is 0)?(?:, (\d+) are not used)?", found["report"])
    used, keys, idle, unused = (int(n or 0) for n in numbers.groups())
    assert keys == found["keys"] and used > 0 and used + idle + unused == keys and unused >= len(found["unused"])
    if found["unused"]:
        assert f"Not used: {found['unused'][0]} (" in found["report"]
    # What is cut from it, saved and read again does the same in the text layers.
    file, (model, _, layers) = read(tmp_path / case.file), model_of(case.model)
    part = read(storage.write(cut(file, model, layers), tmp_path / "cut.safetensors"))
    whole, kept = (load_lora(f, model, layers, 1.0, 0.0).model for f in (file, part))
    assert set(whole.patches) == set(kept.patches)
    for key in whole.patches:
        weight = model.model.state_dict()[key]
        one, other = (comfy.lora.calculate_weight(m.patches[key], weight.clone(), key) for m in (whole, kept))
        assert one.equal(other) and not one.equal(weight)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("musubi-z-image.safetensors", lambda key: key.replace("lora_unet_", "lycoris_")),
        ("diffusers-sdxl.safetensors", lambda key: key.replace(".to_out.0", ".to_out").replace(".to_", ".processor.to_")),
        ("peft-adapter-name-flux.safetensors", lambda key: key.replace(".mine.", ".")),
    ],
)
def test_another_spelling_does_what_one_that_comfyui_knows_does(tmp_path, name, known):
    (case,) = (case for case in CASES if case.file == name)
    write(tmp_path, [case])
    file, (model, _, layers) = read(tmp_path / name), model_of(case.model)
    stock = comfy.sd.load_lora_for_models(model, None, {known(key): w for key, w in file.tensors.items()}, 1.0, 0)[0]
    ours = load_lora(file, model, layers, 1.0, 1.0).model
    assert set(ours.patches) == set(stock.patches)
    for key in ours.patches:
        weight = model.model.state_dict()[key]
        one, other = (comfy.lora.calculate_weight(m.patches[key], weight.clone(), key) for m in (ours, stock))
        assert torch.allclose(one, other, atol=1e-6)  # slices of one weight may be added in another order


def test_endings_are_those_of_comfyui():
    """Some of each class, and two that it does not know."""
    known = (
        "lora_up.weight lora_mid.weight lora_A.default.weight lora_linear_layer.down.weight hada_t2 lokr_w2_b b2.weight oft_blocks rescale "
        "dora_scale alpha reshape_weight b_norm diff_b set_weight"
    )
    of_peft = "lora_magnitude_vector lora_magnitude_vector.weight lora_A.mine.weight lora_B.bias"
    for key in f"{known} {of_peft}".split():
        assert module_of(f"a.b_c.{key}") == "a.b_c", key
    assert module_of("a.b_lora.up.weight") == "a.b" and module_of("a.b.weight") == "a.b.weight"
    assert all(ending[0] in "._" for ending in endings())


def test_strange_text_in_a_file_is_cut(tmp_path):
    model, _, layers = model_of("demo mmdit")
    name, weight = next((k, w) for k, w in model.model.state_dict().items() if k.endswith("x_block.attn.proj.weight"))
    module = name.removesuffix(".weight")
    tensors = {
        f"{module}.diff": torch.ones_like(weight),
        "x" * 1_000_000 + ".alpha": torch.tensor(1.0),
        "a\n<img src=x>.alpha": torch.tensor(1.0),
    }
    save_file(tensors, tmp_path / "a.safetensors", dict.fromkeys(("modelspec.architecture", "ss_network_module"), "y\n" * 500_000))
    report = load_lora(read(tmp_path / "a.safetensors"), model, layers).report
    assert len(report) < 2000 and len(report.splitlines()) == 5


def test_the_scale_that_diffusers_writes(tmp_path):
    about = {"lora_adapter_metadata": '{"transformer.r": 4, "transformer.lora_alpha": 8}'}
    assert peft_scale(about) == 2.0 and peft_scale({}) is None and peft_scale({"lora_adapter_metadata": "[" * 100_000}) is None
    assert peft_scale({"lora_adapter_metadata": '{"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": true}'}) == 4.0
    model, _, layers = model_of("SD3")
    weight = model.model.state_dict()["diffusion_model.joint_blocks.0.x_block.attn.proj.weight"]
    tensors = {"transformer.transformer_blocks.0.attn.to_out.0.lora_A.weight": torch.ones(2, weight.shape[1]),
               "transformer.transformer_blocks.0.attn.to_out.0.lora_B.weight": torch.ones(weight.shape[0], 2)}  # fmt: skip
    for said, expected in ((about, True), ({}, False)):
        save_file(tensors, tmp_path / "a.safetensors", said)
        assert ("a scale of 2" in load_lora(read(tmp_path / "a.safetensors"), model, layers).report) is expected
    # The scale of DoRA is inside a norm.
    magnitude = {"transformer.transformer_blocks.0.attn.to_out.0.lora_magnitude_vector": torch.ones(weight.shape[0])}
    save_file(tensors | magnitude, tmp_path / "a.safetensors", about)
    loaded = load_lora(read(tmp_path / "a.safetensors"), model, layers)
    ((key, patches),) = loaded.model.patches.items()
    moved = weight + 2 * torch.full_like(weight, 2.0)
    assert torch.allclose(comfy.lora.calculate_weight(patches, weight.clone(), key), moved / moved.norm(dim=1, keepdim=True), atol=1e-6)
    assert "a scale of" not in loaded.report


def test_a_text_encoder_that_is_not_there(tmp_path):
    model, clip, layers = model_of("demo unet")
    write(tmp_path, [case for case in CASES if case.file in ("other-text-encoder.safetensors", "text-encoder.safetensors")])
    file = read(tmp_path / "other-text-encoder.safetensors")
    report = load_lora(file, model, layers).report
    assert "(of a text encoder)" in report and "In the text encoders" not in report
    report = load_lora(file, model, layers, 1.0, 0.0, clip, 0.7).report
    assert "In the text encoders: nothing of this file fits the connected CLIP, strength 0.7." in report
    mine = read(tmp_path / "text-encoder.safetensors")
    assert "In the text encoders: 4 weights, strength 0.7." in load_lora(mine, model, layers, 0.0, 0.0, clip, 0.7).report
    patched = load_lora(mine, model, layers, 0.0, 0.0, clip, 0.7).clip.patcher.patches.values()
    assert [patch[0] for patches in patched for patch in patches] == [0.7] * 4 and not clip.patcher.patches
    with pytest.raises(ValueError, match="Nothing of this LoRA would be used"):
        load_lora(mine, model, layers, 0.0, 0.0, clip, 0.0)


def test_steps_as_trainers_write_them():
    said = {"300": 300, "3.0": 3, "None": 0, "": 0, "-4": 0, "inf": 0, "nan": 0}
    assert {text: steps({"ss_steps": text}) for text in said} == said and steps({}) == 0


def test_a_lora_made_of_views_is_saved(tmp_path):
    """As core's nodes or a pickle may give them: one storage, not contiguous, on loan from a larger tensor."""
    large = torch.arange(24.0)
    lora = LoraTensors({"a.lora_up.weight": large[:12].view(3, 4).t(), "a.lora_down.weight": large[6:18].view(2, 6)}, {})
    again = read(storage.write(lora, tmp_path / "a.safetensors")).tensors
    assert all(again[key].equal(w) for key, w in lora.items())


def test_only_what_would_be_used_has_to_fit(tmp_path):
    """One module is another model's: in the text layers, or elsewhere."""
    write(tmp_path, [case for case in CASES if case.file == "comfyui.safetensors"])
    model, _, layers = model_of("demo mmdit")
    tensors = dict(read(tmp_path / "comfyui.safetensors").tensors)
    key = f"diffusion_model.{layers.names[0]}.x_block.attn.qkv.lora_B.weight"
    file = LoraFile("a", tensors | {key: torch.ones(7, 2)}, {})
    with pytest.raises(ValueError, match=r"1 of \d+ modules that would be used do not fit: .*the file's tensors for it are 7 x 2"):
        load_lora(file, model, layers, 1.0, 1.0)
    with pytest.raises(ValueError, match="do not fit"):
        cut(file, model, layers)
    assert f"Not used: {key.replace('lora_B', 'lora_A')} (" in load_lora(file, model, layers, 0.0, 1.0).report
    assert load_lora(file, model, models.written(model, layers.names[-1]), 1.0, 0.0).model.patches
