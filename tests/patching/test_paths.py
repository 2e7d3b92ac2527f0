"""Where files lie: extra_model_paths.yaml, links, folders that may not be written to, and files that change."""

import os
import runpy
import sys

import folder_paths
import pytest
import torch
from safetensors.torch import save_file
from text_layers.deepfloyd import files
from text_layers.nodes.lora import CutLora, LoadLocalizedLora
from text_layers.nodes.text_layers import LoadTextLayers
from text_layers.nodes.training import _NEW, TrainLocalizedLora
from text_layers.patching import storage
from text_layers.patching.paths import shown, stamp, within
from text_layers.patching.text_layers import TextLayers

pytestmark = pytest.mark.any_comfyui

LAYERS = TextLayers("unet", "unet-12x8", ("a.attn2",), source="found by me")


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", dict(folder_paths.folder_names_and_paths))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    return tmp_path / "models"


def test_extra_model_paths_add_a_folder_and_change_nothing_else(models, tmp_path, comfyui_path):
    shared = tmp_path / "shared" / "layers"
    shared.mkdir(parents=True)
    for name in (".DS_Store", "notes.txt", "._theirs.json"):
        (shared / name).write_text("?")
    (shared / "theirs.JSON").write_text(LAYERS.to_json())
    config = tmp_path / "extra_model_paths.yaml"
    config.write_text(f"shared:\n  base_path: {tmp_path / 'shared'}\n  text_layers: layers\n")
    del folder_paths.folder_names_and_paths[storage.FOLDER]
    # By its file: other packages have modules called utils, too. ComfyUI does this before it loads any pack.
    runpy.run_path(str(comfyui_path / "utils" / "extra_config.py"))["load_extra_path_config"](str(config))
    storage._register()
    path = storage.save(LAYERS, "mine")
    assert path == models / "text_layers" / "mine.json" and shown(path) == "models/text_layers/mine.json"
    assert storage.names() == ["mine.json", "theirs.JSON"] == folder_paths.get_filename_list(storage.FOLDER)[-2:]
    assert storage.load("theirs.JSON") == LAYERS == storage.load("mine.json")
    assert shown(shared / "theirs.JSON") == "theirs.JSON"  # where it lies on the server is nobody's business


def test_links_are_followed_and_not_for_ever(models):
    storage._register()
    (models / "text_layers" / "a").mkdir(parents=True)
    (models / "elsewhere").mkdir()
    for name in ("text_layers/x.json", "text_layers/a/y.json", "elsewhere/z.json"):
        (models / name).write_text(LAYERS.to_json())
    for link, target in {"a/up": "..", "a/self": ".", "b": "../elsewhere", "a/gone.json": "nowhere", "a/me.json": "me.json"}.items():
        (models / "text_layers" / link).symlink_to(target)
    (models / "elsewhere" / "back").symlink_to("../text_layers")
    for number in range(12):  # each of them doubles what a walk finds that only stops where the system does
        (models / "text_layers" / "a" / f"up{number}").symlink_to("..")
    assert storage.names() == [os.path.join("a", "y.json"), os.path.join("b", "z.json"), "x.json"]
    assert list(within(models / "none")) == []


def test_a_config_of_deep_nesting_hides_no_model(models):
    """models/diffusers is anybody's: one file that cannot be read must not take the node away."""
    folder_paths.folder_names_and_paths["diffusers"] = ([str(models / "diffusers")], ["folder"])
    for name, text in {"deep": "[" * 200_000, "wrong": "{", "binary": "\0", "long": " " * 2**21}.items():
        (models / "diffusers" / name).mkdir(parents=True)
        (models / "diffusers" / name / "config.json").write_text(text)
    (models / "diffusers" / "loop").symlink_to(".")
    assert files.unets() == [n for n in folder_paths.get_filename_list("diffusion_models") if n.lower().endswith(".safetensors")]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_named(models):
    storage._register()
    (models / "text_layers").mkdir(parents=True)
    (models / "text_layers").chmod(0o500)
    with pytest.raises(ValueError, match=r"^mine\.json cannot be written into models/text_layers: ComfyUI may not write there"):
        storage.save(LAYERS, "mine")


def test_a_file_in_the_folders_place_is_named(models):
    storage._register()
    models.mkdir()
    (models / "text_layers").write_text("")
    with pytest.raises(ValueError, match=r"^mine\.json cannot be written: models/text_layers is a file and should be a folder"):
        storage.save(LAYERS, "mine")


def test_a_stamp_is_of_names_sizes_and_times(tmp_path):
    """A file can change and be as large as before."""
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    for file in (one, other):
        file.write_text("[1, 2]")
        os.utime(file, (1e9, 1e9))
    first = stamp(one)
    assert stamp(one) == first and len({first, stamp(other), stamp(one, other), stamp(other, one)}) == 4
    one.write_text("[3, 4]")
    os.utime(one, ns=(10**18, 10**18 + 1))
    later = stamp(one)
    one.write_text("[3, 4, 5]")
    os.utime(one, ns=(10**18, 10**18 + 1))
    assert len({first, later, stamp(one)}) == 3
    assert stamp(one, tmp_path / "gone") == stamp(one) and stamp(tmp_path / "gone") is None is stamp()


def test_files_are_read_again_when_they_change_also_over_a_link(models):
    """ComfyUI asks for fingerprints before it runs anything: what comes over a link is None then."""
    storage._register()
    (models / "loras").mkdir(parents=True)
    folder_paths.folder_names_and_paths["loras"] = ([str(models / "loras")], {".safetensors"})
    lora, layers = models / "loras" / "a.safetensors", storage.save(LAYERS, "mine")
    save_file({"a": torch.zeros(2)}, lora)

    def prints():
        folder_paths.filename_list_cache.clear()
        return [
            *(node.fingerprint_inputs(lora_name=name) for node in (LoadLocalizedLora, CutLora) for name in ("a.safetensors", None)),
            *(TrainLocalizedLora.fingerprint_inputs(resume=[name]) for name in ("a.safetensors", None)),
            *(LoadTextLayers.fingerprint_inputs(model=None, file=file) for file in ("mine.json", None)),
        ]

    first = prints()
    assert prints() == first and None not in first
    lora.write_bytes(b"damaged")
    layers.write_text("{}")
    assert all(now != before for now, before in zip(prints(), first, strict=True))
    assert TrainLocalizedLora.fingerprint_inputs(resume=[_NEW]) is None
    assert LoadLocalizedLora.fingerprint_inputs(lora_name="gone") is None is LoadTextLayers.fingerprint_inputs(model=None, file="gone")
