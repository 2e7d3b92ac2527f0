"""LoRA files in the formats that people have, cut down to the text layers of ComfyUI's own architectures."""

from dataclasses import replace

import comfy.lora
import comfy.sd
import comfy.utils
import pytest
import torch
from safetensors.torch import save_file
from text_layers.benchmarks.families.checks import bench_of
from text_layers.lora.files import read
from text_layers.lora.load import cut, load_lora
from text_layers.patching import models
from text_layers.testing.tiny_models import MODELS

TINY = {tiny.kind: tiny for tiny in MODELS if tiny.kind in ("SDXL", "SD3", "Flux", "QwenImage")}
RANK = 2


def _lora(name, out, into, random):
    return {f"{name}.lora_up.weight": random(out, RANK), f"{name}.lora_down.weight": random(RANK, into), f"{name}.alpha": torch.tensor(1.0)}


def _peft(name, out, into, random):
    return {f"{name}.lora_A.weight": random(RANK, into), f"{name}.lora_B.weight": random(out, RANK)}


def _loha(name, out, into, random):
    return {f"{name}.hada_w1_a": random(out, RANK), f"{name}.hada_w1_b": random(RANK, into), f"{name}.hada_w2_a": random(out, RANK),
            f"{name}.hada_w2_b": random(RANK, into), f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip


def _lokr(name, out, into, random):
    return {f"{name}.lokr_w1": random(2, 2), f"{name}.lokr_w2_a": random(out // 2, RANK), f"{name}.lokr_w2_b": random(RANK, into // 2),
            f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip


# How a format spells a module's name, as a prefix of ComfyUI's key map, and what it keeps of it.
FORMATS = {"kohya": ("lora_unet_", _lora), "comfyui": ("diffusion_model.", _peft), "diffusers": ("transformer.", _peft),
           "LoHa": ("lora_unet_", _loha), "LoKr": ("lycoris_", _lokr), "OneTrainer": ("lora_transformer_", _lora)}  # fmt: skip
CASES = [
    *(("SDXL", kind) for kind in ("kohya", "comfyui", "LoHa", "LoKr")),
    *(("SD3", kind) for kind in FORMATS),
    *(("Flux", kind) for kind in FORMATS),
    *(("QwenImage", kind) for kind in FORMATS if kind != "OneTrainer"),
]


def names_of(model, prefix):
    """{name in the file: (weight, slice of it or None)} of all matrices that the format can name."""
    weights = model.model.state_dict()
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    found = {}
    for name, key in keys.items():
        weight, part = (key, None) if isinstance(key, str) else key[:2]
        if name.startswith(prefix) and weight in weights and weights[weight].ndim == 2:
            found[name] = (weight, part)
    return found


def lora_of(model, kind, keep=lambda weight: True, seed=0):
    """Tensors of a LoRA on every matrix that the format can name, each with its own."""
    prefix, make = FORMATS[kind]
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: w.shape for name, w in model.model.state_dict().items()}
    tensors, taken = {}, set()
    for name, (weight, part) in names_of(model, prefix).items():
        # ComfyUI's slices of Flux's single blocks are those of the real mlp_ratio.
        if not keep(weight) or (weight, part) in taken or (part and part[1] + part[2] > shapes[weight][0]):
            continue
        taken.add((weight, part))
        out, into = shapes[weight]
        out = part[2] if part else out
        tensors |= make(name, out, into, lambda *shape: 0.3 * torch.randn(shape, generator=generator))
    return tensors


def file_of(tmp_path, tensors, name="lora.safetensors", metadata=None):
    save_file(tensors, tmp_path / name, metadata)
    return read(tmp_path / name)


def weights_of(model):
    """Its weights with all patches, as they are sampled with."""
    return {
        key: comfy.lora.calculate_weight(model.patches[key], w.clone(), key) if key in model.patches else w
        for key, w in model.model.state_dict().items()
    }


def stock(model, tensors, strength=1.0):
    return weights_of(comfy.sd.load_lora_for_models(model, None, tensors, strength, 0)[0])


def chosen(model):
    names = models.layer_names(model)
    return models.written(model, names[1]), f"diffusion_model.{names[1]}."


@pytest.mark.parametrize(("kind", "form"), CASES)
def test_every_format_is_cut_down_to_the_text_layers(tmp_path, kind, form):
    model = TINY[kind].build()
    tensors = lora_of(model, form)
    file = file_of(tmp_path, tensors)
    layers, inside = chosen(model)
    plain, full = weights_of(model), stock(model, tensors)
    changed = {key for key in plain if not plain[key].equal(full[key])}
    assert any(key.startswith(inside) for key in changed) and not all(key.startswith(inside) for key in changed)
    for (strong, weak), wanted in {
        (1.0, 1.0): lambda key: full,
        (1.0, 0.0): lambda key: full if key.startswith(inside) else plain,
        (0.0, 1.0): lambda key: plain if key.startswith(inside) else full,
    }.items():
        ours = weights_of(load_lora(file, model, layers, strong, weak).model)
        assert all(ours[key].equal(wanted(key)[key]) for key in plain), (strong, weak)
    assert all(plain[key].equal(w) for key, w in weights_of(model).items())
    # The part in the text layers is a LoRA file of the same format.
    kept = stock(model, cut(file, model, layers))
    assert all(kept[key].equal((full if key.startswith(inside) else plain)[key]) for key in plain)


def test_layer_1_has_nothing_of_layers_10_and_11(tmp_path):
    tiny = TINY["SD3"]
    model = replace(tiny, config=tiny.config | {"depth": 2, "num_blocks": 12}, layers=12).build()
    tensors = lora_of(model, "comfyui", keep=lambda weight: weight.endswith("x_block.attn.qkv.weight"))
    loaded = load_lora(file_of(tmp_path, tensors), model, chosen(model)[0], 1.0, 0.0).model
    assert set(loaded.patches) == {"diffusion_model.joint_blocks.1.x_block.attn.qkv.weight"}


def test_a_unet_in_diffusers_names(tmp_path):
    """Blocks count otherwise in diffusers: up_blocks.0 of SDXL is output_blocks.0 to 2."""
    model = TINY["SDXL"].build()
    keys = {name: key for name, (key, _) in names_of(model, "unet.").items() if "attn" in name}
    assert len(keys) >= 4 * len(models.layer_names(model))
    shapes = {name: w.shape for name, w in model.model.state_dict().items()}
    tensors = {}
    for seed, (name, key) in enumerate(keys.items()):
        generator = torch.Generator().manual_seed(seed)
        tensors |= _peft(name, *shapes[key], lambda *shape, g=generator: torch.randn(shape, generator=g))
    layers, inside = chosen(model)
    ours = load_lora(file_of(tmp_path, tensors), model, layers).model
    assert set(ours.patches) == {key for key in keys.values() if key.startswith(inside)} and len(ours.patches) == 4


def test_strengths_add_up_and_pictures_change(tmp_path):
    bench = bench_of(TINY["SD3"])
    layers, _ = chosen(bench.model)
    file = file_of(tmp_path, lora_of(bench.model, "diffusers"))
    plain = bench.draw(bench.prompt(0))
    half = load_lora(file, bench.model, layers, 0.5).model
    twice = load_lora(file, half, layers, 0.5).model
    once = load_lora(file, bench.model, layers, 1.0).model
    pictures = [bench.draw(bench.prompt(0), model) for model in (half, twice, once)]
    assert not pictures[0].equal(plain)
    # Two halves are added one after another: another order of float operations.
    assert (pictures[1] - pictures[2]).abs().max() <= 1e-4 * (pictures[2] - plain).abs().max()
    assert bench.draw(bench.prompt(0)).equal(plain)


def test_a_lora_under_and_over_ours(tmp_path):
    """Bit for bit what two of ComfyUI's loaders do in that order with the other LoRA and with the part of ours."""
    bench = bench_of(TINY["SD3"])
    layers, _ = chosen(bench.model)
    other = lora_of(bench.model, "kohya", seed=5)
    ours = file_of(tmp_path, lora_of(bench.model, "diffusers"))
    part = cut(ours, bench.model, layers)
    plain = bench.draw(bench.prompt(0))

    def stock(model, tensors):
        return comfy.sd.load_lora_for_models(model, None, tensors, 0.7, 0)[0]

    def localized(model):
        return load_lora(ours, model, layers, 0.7).model

    under, over = localized(stock(bench.model, other)), stock(localized(bench.model), other)
    expected = stock(stock(bench.model, other), part), stock(stock(bench.model, part), other)
    for model, reference in zip((under, over), expected, strict=True):
        assert bench.draw(bench.prompt(0), model).equal(bench.draw(bench.prompt(0), reference))
    assert bench.draw(bench.prompt(0)).equal(plain)


def test_the_report_says_what_was_used(tmp_path):
    model = TINY["SD3"].build()
    file = file_of(tmp_path, lora_of(model, "diffusers"), metadata={"modelspec.architecture": "stable-diffusion-v3"})
    report = load_lora(file, model, chosen(model)[0]).report
    assert "rank 2" in report and "stable-diffusion-v3" in report and "strength 1" in report and "Elsewhere" in report


class TestBadInput:
    def load(self, tmp_path, tensors, *strengths, model="SD3"):
        model = TINY[model].build()
        return load_lora(file_of(tmp_path, tensors), model, chosen(model)[0], *strengths)

    def test_of_another_architecture(self, tmp_path):
        with pytest.raises(ValueError, match=r"fits no module of the connected model.*of rank 2, for example lora_unet_"):
            self.load(tmp_path, lora_of(TINY["SDXL"].build(), "kohya"))

    def test_of_another_size(self, tmp_path):
        tensors = {k: w if k.endswith("alpha") else w.repeat(2, 2) for k, w in lora_of(TINY["SD3"].build(), "kohya").items()}
        with pytest.raises(ValueError, match="is for another model"):
            self.load(tmp_path, tensors)

    def test_nothing_in_the_text_layers(self, tmp_path):
        inside = chosen(TINY["SD3"].build())[1]
        tensors = lora_of(TINY["SD3"].build(), "kohya", keep=lambda weight: not weight.startswith(inside))
        with pytest.raises(ValueError, match="Nothing of this LoRA would be used: 0 of its"):
            self.load(tmp_path, tensors)
        assert self.load(tmp_path, tensors, 1.0, 1.0).model.patches
        with pytest.raises(ValueError, match="nothing in the chosen text layers"):
            model = TINY["SD3"].build()
            cut(file_of(tmp_path, tensors), model, chosen(model)[0])

    def test_no_strength(self, tmp_path):
        with pytest.raises(ValueError, match="Nothing of this LoRA would be used"):
            self.load(tmp_path, lora_of(TINY["SD3"].build(), "kohya"), 0.0, 0.0)

    def test_no_lora(self, tmp_path):
        with pytest.raises(ValueError, match="is not a LoRA"):
            self.load(tmp_path, {"model.weight": torch.zeros(2, 2)})

    def test_damaged(self, tmp_path):
        path = tmp_path / "lora.safetensors"
        save_file(lora_of(TINY["SD3"].build(), "kohya"), path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match="cannot be read"):
            read(path)

    def test_a_pickle_that_calls_itself_safetensors(self, tmp_path):
        torch.save({"a": torch.zeros(1)}, tmp_path / "lora.safetensors")
        with pytest.raises(ValueError, match="cannot be read"):
            read(tmp_path / "lora.safetensors")

    def test_a_pickle_with_code(self, tmp_path):
        torch.save({"a": print}, tmp_path / "lora.pt")
        with pytest.raises(ValueError, match="cannot be read"):
            read(tmp_path / "lora.pt")

    def test_no_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"There is no file|cannot be read"):
            read(tmp_path / "lora.safetensors")
