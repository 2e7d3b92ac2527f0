"""Text layers that ship: each file names layers of its architecture, and who has verified it, when, with what and how."""

import datetime
import json
from pathlib import Path

import pytest
from text_layers.benchmarks.record import kept
from text_layers.demo import comfy_model
from text_layers.localization.record import KEYS
from text_layers.patching import models
from text_layers.patching.text_layers import TextLayers

pytestmark = pytest.mark.any_comfyui

FOLDER = Path(models.__file__).parent / "localized"
FILES = sorted(FOLDER.glob("*.json"))
VERIFIED = json.loads((FOLDER / "verified" / "verified.json").read_text("utf-8"))
# Found before files told what they were found with.
WITHOUT_RECORD = {"demo-mmdit", "demo-unet"}


def test_each_file_is_verified_and_nothing_else():
    assert set(VERIFIED) == {path.stem for path in FILES} and FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_what_it_was_found_with(path):
    layers = TextLayers.from_json(path.read_text("utf-8"))
    if path.stem not in WITHOUT_RECORD:
        assert set(KEYS) <= set(layers.record)
        assert layers.record["localized"] and layers.record["sure"], "what ships is sure"
    assert sum(TextLayers.from_json(other.read_text("utf-8")).architecture == layers.architecture for other in FILES) == 1


@pytest.mark.parametrize("name", VERIFIED)
def test_who_verified_what_when_and_with_which_version(name):
    assert VERIFIED[name]
    for entry in VERIFIED[name]:
        assert set(entry) == {"by", "on", "version", "comfyui", "device", "model", "how", "read", "of"}
        assert all(isinstance(entry[key], str) and entry[key] for key in ("by", "version", "comfyui", "device", "model", "how"))
        assert datetime.date.fromisoformat(entry["on"]) <= datetime.date.today()
        assert 0.95 * entry["of"] <= entry["read"] <= entry["of"] and entry["of"] >= 60, "of words that all layers draw"


@pytest.mark.parametrize("kind", ["unet", "mmdit"])
def test_what_is_said_of_the_demo_models_is_what_was_measured(kind):
    layers, measured = models.known(comfy_model.load(kind)[0]), kept(f"localization-{kind}-13")
    names = models.layer_names(comfy_model.load(kind)[0])
    ((chosen, told),) = measured["held_out"].items()
    assert layers.names == tuple(names[int(layer)] for layer in chosen.split())
    (entry,) = VERIFIED[f"demo-{kind}"]
    assert entry["read"] / entry["of"] == told["chosen"][0] and entry["of"] == 100 and entry["comfyui"] == measured["versions"]["comfyui"]
    assert entry["device"] == measured["device"] and measured["commit"] in entry["version"] and entry["on"] == kept("dates")[
        f"localization-{kind}-13"
    ]  # fmt: skip
