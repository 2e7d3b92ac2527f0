"""What a node shows of a search while it works, and what it says of layers that are in doubt."""

from dataclasses import replace

import comfy.utils
import pytest
from text_layers.demo import comfy_model
from text_layers.localization.estimate import in_words, said
from text_layers.localization.guidance import notice
from text_layers.localization.sweep import Progress
from text_layers.nodes import live
from text_layers.nodes.layer_map import layer_map
from text_layers.nodes.text_layers import SaveTextLayers
from text_layers.patching import models
from text_layers.patching.text_layers import TextLayers, summary
from text_layers.testing.tiny_models import MODELS

from .every_input.world import World

pytestmark = pytest.mark.any_comfyui


def test_the_bar_goes_forward_only_and_says_what_is_asked(monkeypatch):
    """Rounds whose cost is known only when they begin, and more calls in the end than were expected."""
    bars, texts = [], []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: bars.append(value / total))
    monkeypatch.setattr(live, "say", lambda node, text: texts.append(text))
    monkeypatch.setattr(live, "_INTERVAL", 0)
    told = live.Live("1", 4, 100)
    for done, left in ((10, 0), (20, 30), (50, 0), (60, 90), (100, 50), (150, 0), (160, 0)):
        told(Progress(done, left, {0: 0.5}, None, "How far 3 sets of layers move the first prediction"))
    assert bars == sorted(bars) and bars[0] == pytest.approx(0.1, abs=0.01) and bars[2] == pytest.approx(0.5, abs=0.01)
    assert max(bars) <= 1 and bars[-1] > 0.9
    assert texts[0] == "How far 3 sets of layers move the first prediction: 10 of about 100 model calls"
    assert "20 of about 100 model calls, about" in texts[1] and texts[1].endswith("left") and "of about 150" in texts[3]


def test_times_are_told_as_people_tell_them():
    assert [in_words(seconds) for seconds in (0.2, 1, 59, 150, 5400, 36_000)] == [
        "about 1 second", "about 1 second", "about 59 seconds", "about 2 minutes", "about 2 hours", "about 10 hours"]  # fmt: skip
    assert "About 1,200 model calls, about 10 minutes" in said(1200, 0.5, False) and "not asked again" in said(1200, 0.5, True)


@pytest.mark.parametrize(("kind", "has"), [("Flux", True), ("FluxSchnell", False), ("SD3", False)])
def test_a_model_with_guidance_of_its_own_is_made_for_cfg_1(kind, has):
    model = next(tiny for tiny in MODELS if tiny.kind == kind).build()
    assert ("made for cfg 1; with 7 every" in notice(model, 7.0)) == has and notice(model, 1.0) == ""


def test_what_is_in_doubt_travels_with_the_layers(tmp_path):
    """In the value, its file, the node that saves it, the one that loads it, and the map."""
    model = comfy_model.load("mmdit")[0]
    plain = models.written(model, "0-2")
    doubted = replace(plain, doubt="not sure: 60 of 62 words are read")
    assert "doubt" not in plain.to_json() and TextLayers.from_json(plain.to_json()) == plain
    assert TextLayers.from_json(doubted.to_json()) == doubted
    names = models.layer_names(model)
    assert "Not sure: 60 of 62 words are read." in summary(doubted, names) and "ot sure" not in summary(plain, names)
    assert layer_map(names, doubted)["text_layers"][0]["doubt"] == "Not sure: 60 of 62 words are read."
    assert "doubt" not in layer_map(names, plain)["text_layers"][0]
    with World(tmp_path).fresh("text_layers") as folder:
        shown = SaveTextLayers.execute(doubted, "mine").ui["text"]
        assert "Not sure: 60 of 62 words are read." in "\n".join(shown)
        assert TextLayers.from_json((folder / "mine.json").read_text("utf-8")).doubt == doubted.doubt
    with pytest.raises(ValueError, match='"doubt" of the text layers file'):
        TextLayers.from_json(doubted.to_json().replace('"not sure: 60 of 62 words are read"', "3"))
