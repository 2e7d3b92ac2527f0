"""Models that nobody has written an adapter for: what looking finds, against the adapters, and what is drawn with it."""

from dataclasses import replace

import comfy.ldm.flux.model
import comfy.model_management
import pytest
import torch
from text_layers.benchmarks.families import checks as families
from text_layers.benchmarks.families import discovery as benchmark
from text_layers.nodes.patch import PatchPromptIntoLayers
from text_layers.nodes.text_layers import ChooseTextLayers
from text_layers.patching import models
from text_layers.patching.adapters import FAMILIES as ADAPTERS
from text_layers.patching.discovery import look_at
from text_layers.patching.discovery.place import Sample, Unclear, fit, piece
from text_layers.patching.patch import METHODS
from text_layers.testing.tiny_models import MODELS

TINY = {tiny.kind: tiny for tiny in reversed(MODELS)}
# Text first with a layer's text behind it, last, alone among the keys, padded, of two encoders; and options that reach no attention.
KINDS = ("Flux", "HiDream", "CosmosT2IPredict2", "HunyuanImage21", "ErnieImage")
KINDS = tuple(kind for kind in KINDS if TINY[kind].exists)


@pytest.fixture(autouse=True)
def forgotten():
    yield
    models.FOUND.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_looking_finds_what_the_adapter_says(kind):
    row = benchmark.row(TINY[kind])
    assert not row["refused"]
    assert row["layers_found"] == TINY[kind].layers
    assert row["layers_equal"] and row["text_equal"]


@pytest.fixture
def nameless(monkeypatch):
    """A model as if the pack had no adapters."""
    monkeypatch.setattr(models, "FAMILIES", ())
    return families.bench_of(TINY["QwenImage"])


@pytest.mark.parametrize("method", METHODS)
def test_patching_a_model_that_was_looked_at(nameless, method):
    """From the nodes to the picture: an effect, identity with the source's own text, and the picture of the adapter's."""
    choice, layers = "written below", "0-2"
    chosen = ChooseTextLayers.execute(nameless.model, choice, layers, prompt=nameless.tiny.encoded(5))
    assert "checked on this model" in str(chosen.ui)

    def draw(target, negative):
        patched = PatchPromptIntoLayers.execute(nameless.model, target, chosen[0], 0, method, negative)
        assert "checked on this model" in str(patched.ui)
        return nameless.draw(nameless.prompt(0), patched[0])

    plain = nameless.draw(nameless.prompt(0))
    assert torch.equal(draw(nameless.encoded(0), nameless.encoded(2)), plain)
    edit = draw(nameless.encoded(1), nameless.encoded(3))
    assert (edit - plain).abs().max() > 1e-3 * plain.abs().max()
    models.FAMILIES = ADAPTERS
    wanted = nameless.draw(nameless.prompt(0), nameless.edit(nameless.names, method=method))
    assert torch.equal(edit, wanted)


def test_references_that_were_not_looked_at_are_refused(nameless):
    look_at(nameless.model, nameless.tiny.encoded(5))
    with_reference = replace(nameless, entries=1)
    with pytest.raises(ValueError, match=r"reference_latents.*Connect a prompt that has it"):
        with_reference.draw(with_reference.prompt(0), with_reference.edit(["transformer_blocks.0.attn"]))


def test_a_model_that_was_not_looked_at_says_what_to_do(nameless):
    with pytest.raises(ValueError, match="input prompt of Text Layers"):
        models.family_of(nameless.model)


def test_a_model_whose_text_reaches_the_picture_beside_the_attention_is_refused(nameless, monkeypatch):
    """A picture's tokens that know the text before they see it would be taken for the source's."""
    tiny = TINY["Flux"]
    model = tiny.build()
    own = comfy.ldm.flux.model.Flux.forward_orig

    def forward_orig(self, img, img_ids, txt, *args, **kwargs):
        return own(self, img + txt.mean(), img_ids, txt, *args, **kwargs)

    monkeypatch.setattr(comfy.ldm.flux.model.Flux, "forward_orig", forward_orig)
    with pytest.raises(ValueError, match=r"looking at this one has not found them: .*picture"):
        look_at(model, tiny.encoded(0))
    assert not models.is_known(model)


def test_a_model_that_text_does_not_reach_is_refused(monkeypatch):
    monkeypatch.setattr(models, "FAMILIES", ())
    tiny = TINY["SD15"]
    model = tiny.build()
    with pytest.raises(ValueError, match=r"no key moves|another text moves no keys"):
        look_at(model, [[torch.zeros(1, 10, 24), {}]])


def test_an_interruption_leaves_nothing(nameless):
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        look_at(nameless.model, nameless.encoded(0))
    assert not models.is_known(nameless.model)


def bits(text):
    return torch.tensor([letter == "x" for letter in text])


@pytest.mark.parametrize(
    ("text", "picture", "level", "where"),
    [
        ("xx....", "..xxxx", "..xxxx", slice(0, 2)),
        ("..xx....", "....xxxx", "....xxxx", slice(0, 4)),  # registers before the text
        ("xx......", "....xxxx", "....xxxx", slice(0, 4)),  # padding behind it
        ("xx.....", "...xxxx", "..xxxxx", slice(0, 2)),  # a token of the noise level, and a text that knows nothing of it
        ("xx.....", "...xxxx", "xxxxxxx", slice(0, 3)),  # all is modulated by it
        ("....xx", "xxxx..", "......", slice(4, 6)),
    ],
)
def test_the_piece_of_the_text(text, picture, level, where):
    assert piece(bits(text), bits(picture), bits("." * len(text)), bits(level)) == where


@pytest.mark.parametrize(("text", "picture"), [("xxxx", "..xx"), ("x..x", ".xx."), ("....", "..xx")])
def test_a_text_that_does_not_stand_apart_is_unclear(text, picture):
    with pytest.raises(Unclear):
        piece(bits(text), bits(picture), bits("...."), bits("...."))


def test_rules_that_disagree_in_a_later_call_are_refused():
    """The text behind the picture: in a call with 4 others it may begin where the picture ends, or end where all does."""

    def sample(n, p):
        return Sample(p + n, p, p + n, {"txt:0": n, "img:0": p})

    counted, text = fit([sample(10, 24), sample(19, 24), sample(10, 48)])
    assert counted == ("img:0", "txt:0")
    assert text(24, 12, 36) == slice(24, 36)
    with pytest.raises(RuntimeError, match="cannot be told"):
        text(24, 12, 40)
    with pytest.raises(Unclear):
        fit([Sample(34, 0, 10, {}), Sample(43, 0, 19, {}), Sample(58, 0, 10, {})])
