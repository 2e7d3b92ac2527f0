"""Files of text layers: names that a file can have, and what is no such file."""

from dataclasses import replace

import folder_paths
import pytest
from comfy.cli_args import args
from text_layers.patching import storage
from text_layers.patching.text_layers import TextLayers

pytestmark = pytest.mark.any_comfyui

LAYERS = TextLayers("unet", "unet-12x8", ("a.attn2",))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, storage.FOLDER, ([str(tmp_path / "text_layers")], {".json"}))
    return tmp_path / "text_layers"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a\0",
        "a\nb",
        "~",
        "NUL",
        "con",
        "Com1.layers",
        "é" * 101,
        "字" * 70,
        "a\ud800",
        ".json",
        "x" * 101,
    ],
)
def test_names_that_no_file_should_have_are_refused(folder, name):
    with pytest.raises(ValueError, match="is no good file name") as error:
        storage.save(LAYERS, name)
    str(error.value).encode()
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize("name", ["mine", "字" * 60, "conduct", "a (b), c+d-e_f.g", "x.json"])
def test_others_are_taken_and_nothing_is_overwritten(folder, name):
    first = storage.save(LAYERS, name)
    assert storage.save(LAYERS, name) == first and storage.load(first.name) == LAYERS
    other = storage.save(TextLayers("unet", "unet-12x8", ("b.attn2",)), name)
    assert other != first and storage.load(first.name) == LAYERS


def test_a_file_that_has_changed_has_another_version(folder):
    path = storage.save(LAYERS, "mine")
    before = storage.version("mine.json")
    assert storage.version("mine.json") == before
    path.write_text("{}")
    assert storage.version("mine.json") != before
    assert storage.version("gone.json") is None
    with pytest.raises(FileNotFoundError, match=r"There is no text layers file gone\.json") as error:
        storage.load("gone.json\ud800")
    str(error.value).encode()


def test_what_could_not_be_loaded_again_is_not_saved(folder):
    for words in (1_000, 100_000):
        layers = TextLayers("unet", "unet-12x8", ("a.attn2",), record={"pairs": [["CAFE", "HOTEL"]] * words})
        if words == 1_000:
            assert storage.load(storage.save(layers, "many").name) == layers
            continue
        with pytest.raises(ValueError, match="could not be loaded again"):
            storage.save(layers, "too many")
    assert storage.names() == ["many.json"]


def test_where_layers_came_from_is_left_out_where_comfyui_should_save_no_metadata(folder, monkeypatch):
    layers = TextLayers(
        "unet", "unet-12x8", ("a.attn2",), {"a.attn2": (1,)}, {"a.attn2": 0.5}, "localized, 3 pairs", record={"file": "mine.safetensors"}
    )
    monkeypatch.setattr(args, "disable_metadata", True)
    assert storage.load(storage.save(layers, "mine").name) == replace(layers, source="", record={})
    monkeypatch.setattr(args, "disable_metadata", False)
    assert storage.load(storage.save(layers, "mine").name) == layers
