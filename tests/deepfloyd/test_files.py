"""What Load DeepFloyd IF offers, and what it says where something is wrong."""

import shutil
import sys

import folder_paths
import pytest
import torch
from safetensors.torch import save_file
from text_layers.deepfloyd import files
from text_layers.deepfloyd.model import from_weights, load_model
from text_layers.nodes.deepfloyd import LoadDeepFloydIF

from .conftest import CONFIG


@pytest.fixture
def place(models):
    """A new folder in models/diffusion_models."""
    folder = models / "diffusion_models" / "mine"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)
    folder_paths.filename_list_cache.clear()


def weights_of(unet):
    return {k: v.contiguous() for k, v in unet.state_dict().items()}


def test_folders_of_diffusers_are_offered(models):
    assert {"tiny-IF", "other/in parts", "tiny-IF-II"} <= set(files.unets())


def test_a_folder_in_parts_is_the_same_model(models, tiny):
    config, weights = files.read_unet("other/in parts")
    assert len(list((models / "diffusers" / "other" / "in parts").glob("*.safetensors"))) > 1
    assert all(torch.equal(weights[k], v) for k, v in tiny.unet.state_dict().items())
    assert config["block_out_channels"] == CONFIG["block_out_channels"]


def test_a_missing_part_is_named(models, tmp_path):
    for file in (models / "diffusers" / "other" / "in parts").glob("*"):
        shutil.copy(file, tmp_path)
    next(tmp_path.glob("*-00002-of-*")).unlink()
    with pytest.raises(FileNotFoundError, match=r"of the \d+ files of diffusion_pytorch_model\.safetensors"):
        files.weight_files(tmp_path)


def test_half_precision_comes_first(tmp_path):
    names = (
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.non_ema.safetensors",
    )
    for name in names:
        (tmp_path / name).touch()
    assert [f.name for f in files.weight_files(tmp_path)] == [names[1]]
    (tmp_path / names[1]).unlink()
    assert [f.name for f in files.weight_files(tmp_path)] == [names[0]]


def test_a_file_with_its_config_beside_it(models, place, tiny):
    save_file(weights_of(tiny.unet), place / "if.safetensors")
    shutil.copy(models / "diffusers" / "tiny-IF" / "unet" / "config.json", place)
    assert "mine/if.safetensors" in files.unets()
    model = load_model("mine/if.safetensors")
    assert torch.equal(model.model.diffusion_model.conv_in.weight, tiny.unet.conv_in.weight)


def test_a_file_without_a_config_is_if_i_xl_or_nothing(place, tiny):
    weights = weights_of(tiny.unet)
    save_file(weights, place / "small.safetensors")
    with pytest.raises(ValueError, match=r"small.safetensors is no IF-I-XL; other sizes need their config.json"):
        files.read_unet("mine/small.safetensors")
    save_file({**weights, "conv_in.weight": torch.zeros(704, 3, 3, 3)}, place / "large.safetensors")
    assert files.read_unet("mine/large.safetensors")[0] == files.IF_I_XL
    save_file({**weights, "conv_in.weight": torch.zeros(704, 6, 3, 3)}, place / "two.safetensors")
    with pytest.raises(ValueError, match=r"two.safetensors is a later stage of DeepFloyd IF"):
        files.read_unet("mine/two.safetensors")
    save_file({"conv_in.weight": torch.zeros(320, 4, 3, 3)}, place / "sd.safetensors")
    with pytest.raises(ValueError, match=r"sd.safetensors is no U-Net of DeepFloyd IF"):
        files.read_unet("mine/sd.safetensors")


def test_a_config_of_another_model_is_refused(place, tiny):
    save_file(weights_of(tiny.unet), place / "if.safetensors")
    (place / "config.json").write_text('{"block_out_channels": [320], "in_channels": 4}')
    with pytest.raises(ValueError, match=r"its config.json describes another model"):
        files.read_unet("mine/if.safetensors")


def test_stage_two_is_refused(models):
    with pytest.raises(ValueError, match="tiny-IF-II is a later stage of DeepFloyd IF"):
        LoadDeepFloydIF.execute("tiny-IF-II", "none", True)


def test_a_missing_model_and_a_missing_text_encoder_are_named(models):
    with pytest.raises(FileNotFoundError, match=r"no gone in models/diffusers or models/diffusion_models"):
        files.read_unet("gone")
    with pytest.raises(ValueError, match=r'unet is "gone", but it takes one of these: .*tiny-IF'):
        LoadDeepFloydIF.execute("gone", "none", True)
    with pytest.raises(FileNotFoundError, match="tiny-IF has no text_encoder beside it"):
        LoadDeepFloydIF.execute("tiny-IF", "in the model's folder", True)


def test_weights_that_do_not_fit_are_refused(tiny):
    weights = weights_of(tiny.unet)
    del weights["conv_out.bias"]
    with pytest.raises(ValueError, match=r"1 of them are in one and not in the other, for example conv_out.bias"):
        from_weights(CONFIG, weights)


def test_without_diffusers_the_package_is_named(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)  # what Python takes for a module that is not there
    with pytest.raises(ImportError, match="pip install diffusers"):
        load_model("tiny-IF")
