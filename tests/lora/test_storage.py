"""What a saved LoRA says of itself, and that nothing is overwritten."""

import hashlib
import json
import struct

import comfy.sd
import folder_paths
import pytest
import torch
from comfy.cli_args import args
from safetensors import safe_open
from text_layers.lora import storage
from text_layers.lora.files import read
from text_layers.lora.load import cut
from text_layers.lora.metadata import LoraTensors
from text_layers.lora.train import Settings, train
from text_layers.patching import models
from text_layers.patching.text_layers import TextLayers
from text_layers.testing.tiny_models import MODELS

pytestmark = pytest.mark.any_comfyui

TINY = {tiny.kind: tiny for tiny in MODELS}


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path


def trained(steps=2, start=None, layers="0, 1"):
    tiny = TINY["SD3"]
    model = tiny.build()
    latents = list(torch.randn(2, *tiny.latent, generator=torch.Generator().manual_seed(1)))
    settings = Settings(rank=3, alpha=6, steps=steps, learning_rate=1e-3, seed=7)
    return model, train(model, latents, [tiny.conditioning(0)], models.written(model, layers), settings, start).tensors


def test_metadata(output):
    model, lora = trained()
    path = storage.save(lora, "loras/mine")
    assert path.parent == output / "loras"
    with safe_open(path, "pt") as file:
        about = file.metadata()
    assert about["ss_network_dim"] == "3" and about["ss_steps"] == "2" and about["modelspec.title"] == "mine_00001_"
    assert TextLayers.from_json(about["text_layers"]) == models.written(model, "0, 1")
    assert json.loads(about["text_layers.training"])["learning_rate"] == 1e-3
    # SHA-256 of everything behind the header, as the file format defines it.
    data = path.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    assert about["modelspec.hash_sha256"] == "0x" + hashlib.sha256(data[8 + header :]).hexdigest()
    # The steps of a training that goes on are counted together.
    _, more = trained(3, start=read(path))
    assert more.metadata["ss_steps"] == "5"


def test_only_architectures_that_have_a_name_are_named():
    """The tiny model is built like Stable Diffusion 3, and is not it."""
    _, lora = trained()
    assert "modelspec.architecture" not in lora.metadata


def test_nothing_is_overwritten(output):
    lora = LoraTensors({"lora_unet_x.lora_up.weight": torch.ones(1, 1)}, {})
    paths = [storage.save(lora, "loras/same") for _ in range(3)]
    assert len(set(paths)) == 3 and all(path.is_file() for path in paths)


@pytest.mark.parametrize("prefix", ["../outside", "/outside", "loras/../../outside"])
def test_nothing_is_written_outside_the_output_folder(output, prefix):
    lora = LoraTensors({"lora_unet_x.lora_up.weight": torch.ones(1, 1)}, {})
    before = set(output.parent.rglob("*"))
    with pytest.raises(ValueError, match="must lie inside ComfyUI's output folder"):
        storage.save(lora, prefix)
    assert set(output.parent.rglob("*")) == before


@pytest.mark.parametrize("prefix", ["x" * 250, "é" * 120, "a\0b", "a\nb", "loras/\ud800", "y" * 250 + "/a"])
def test_names_that_no_file_can_have_are_refused(output, prefix):
    with pytest.raises(ValueError, match=r"^The file name .* (is too long|no file name can have)") as error:
        storage.save(LoraTensors({"lora_unet_x.lora_up.weight": torch.ones(1, 1)}, {}), prefix)
    str(error.value).encode()
    assert not list(output.iterdir())


def test_no_half_of_a_file_stays_behind(output):
    """What safetensors refuses after the file is opened, as a full disk would be."""
    with pytest.raises(Exception, match=r"metadata|str"):
        storage.save(LoraTensors({"lora_unet_x.lora_up.weight": torch.ones(1, 1)}, {"number": 1}), "loras/half")
    assert not list((output / "loras").iterdir())


def test_a_place_that_cannot_be_written_to_is_named(output):
    (output / "loras").write_text("a file in the folder's place")
    with pytest.raises(ValueError, match=r"^The LoRA cannot be written to loras/mine/a in the output folder: there is a file where"):
        storage.save(LoraTensors({"lora_unet_x.lora_up.weight": torch.ones(1, 1)}, {}), "loras/mine/a")


def test_no_metadata_where_comfyui_should_save_none(output, monkeypatch):
    monkeypatch.setattr(args, "disable_metadata", True)
    _, lora = trained()
    path = storage.save(lora, "loras/mine")
    with safe_open(path, "pt") as file:
        assert file.metadata() is None
    assert {key: tensor.tolist() for key, tensor in read(path).tensors.items()} == {key: tensor.tolist() for key, tensor in lora.items()}


def test_what_was_cut_says_so(output):
    model, lora = trained()
    path = storage.save(lora, "loras/whole")
    part = cut(read(path), model, models.written(model, "1"))
    assert TextLayers.from_json(part.metadata["text_layers"]).names == models.written(model, "1").names
    assert part.metadata["text_layers.cut_from"] == path.name and "modelspec.hash_sha256" not in part.metadata
    again = read(storage.save(part, "loras/part"))
    assert again.metadata["text_layers.cut_from"] == path.name and set(again.tensors) == set(part) < set(lora)
    assert comfy.sd.load_lora_for_models(model, None, again.tensors, 1.0, 0)[0].patches
