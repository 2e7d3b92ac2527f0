"""Every node holds its inputs to what it declares, wherever the values come from."""

import inspect

import pytest
import torch
from text_layers.demo import comfy_model
from text_layers.nodes import TextLayersExtension
from text_layers.nodes.guard import CheckDrawnText, GuardDrawnText
from text_layers.nodes.inversion import MaskDrawnText
from text_layers.nodes.lora import SaveLocalizedLora
from text_layers.nodes.measure import MeasureTextEdit
from text_layers.nodes.patch import PatchPromptIntoLayers
from text_layers.nodes.text_layers import ChooseTextLayers, SaveTextLayers
from text_layers.nodes.text_set import DrawTextTrainingSet
from text_layers.nodes.training import TrainLocalizedLora
from text_layers.patching import models

pytestmark = pytest.mark.any_comfyui

SIGNS = {"words": "CAFE", "count": 1, "sign": "any", "wall": "any", "shape": "any", "face": "regular", "ink": "dark", "describe": True,
         "seed": 0}  # fmt: skip


@pytest.fixture(scope="module")
def demo():
    model, clip, vae = comfy_model.load("unet")
    return model, clip, vae, models.preset(model), clip.encode_from_tokens_scheduled(clip.tokenize("a sign"))


async def nodes():
    return await TextLayersExtension().get_node_list()


def test_every_node_is_checked():
    import asyncio

    for node in asyncio.run(nodes()):
        assert inspect.unwrap(node.execute.__func__) is not node.execute.__func__, f"{node.__name__}.execute is not @checked"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count is 0, but it takes 1 to 100000"),
        ({"count": 10**30}, "it takes 1 to 100000"),
        ({"count": float("nan")}, "count is nan, but it takes a whole number"),
        ({"count": 2.0}, "count is 2.0, but it takes a whole number"),
        ({"count": True}, "count is True, but it takes a whole number"),
        ({"count": "3"}, 'count is "3", but it takes a whole number'),
        ({"count": None}, "count is empty"),
        ({"words": 7}, "words is 7, but it takes text"),
        ({"words": "CA\ud800FE"}, r'words is "CA\\ud800FE", but this text is broken'),
        ({"words": ["CAFE"]}, "words is a value of type list"),
        ({"sign": "../red"}, r'sign is "\.\./red", but it takes one of these: any, red'),
        ({"sign": "x" * 10_000}, r'sign is "x{200}\.\.\.", but'),
        ({"describe": "yes"}, 'describe is "yes", but it takes true or false'),
    ],
)
def test_widgets_are_held_to_what_they_declare(change, message):
    with pytest.raises(ValueError, match=message) as error:
        DrawTextTrainingSet.execute(**SIGNS | change)
    str(error.value).encode()  # ComfyUI's worker ends for good when its log cannot write a message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 101, "1", None])
def test_numbers_are_finite_and_in_their_range(demo, value):
    """A rate or a strength that is no number would make the whole model none."""
    model, _, _, layers, prompt = demo
    latents = [{"samples": torch.zeros(1, 12, 16, 32)}]
    given = ([model], latents, [prompt], [layers], [2], [2.0], [value], [1], [1], [0], ["fp32"], ["none: begin anew"], [False], [1])
    with pytest.raises(ValueError, match=r"^learning_rate is .*, but it takes"):
        TrainLocalizedLora.execute(*given)


@pytest.mark.parametrize("value", [None, "model", b"x", 5, [1], {"samples": 1}, torch.zeros(1)])
def test_sockets_take_what_they_are_for(demo, value):
    model, _, _, layers, _ = demo
    wrong = {
        "model": lambda: ChooseTextLayers.execute(value, "published for this model", ""),
        "clip": lambda: GuardDrawnText.execute(model, value, "a sign", layers, "", "", "", 0, "target's own run"),
        "text_layers": lambda: SaveTextLayers.execute(value, "name"),
        "target": lambda: PatchPromptIntoLayers.execute(model, value, layers, 0, "target's own run"),
        "lora": lambda: SaveLocalizedLora.execute(value, "x"),
        "source": lambda: MeasureTextEdit.execute(value, value, "HOTEL", "RapidOCR"),
    }
    for name, execute in wrong.items():
        with pytest.raises(ValueError, match=rf"^{name} is .*: connect "):
            execute()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(torch.zeros(2, 64, 32), r"2 x 64 x 32 \(float32\)"), (torch.zeros(64, 32), "64 x 32"), (torch.zeros(1, 64, 32, 5), "1 x 64 x 32 x 5"),
     (torch.zeros(1, 64, 32, 3, dtype=torch.uint8), "uint8")],
)  # fmt: skip
def test_what_is_no_picture_is_not_read_as_one(value, shown):
    """A mask has an axis less, and whole numbers would all be white."""
    for execute in (
        lambda: CheckDrawnText.execute(value, "RapidOCR", "", ""),
        lambda: MaskDrawnText.execute(value, "RapidOCR", 0),
        lambda: MeasureTextEdit.execute(value, value, "HOTEL", "RapidOCR"),
    ):
        with pytest.raises(ValueError, match=rf"^(image|source) is a tensor of .*{shown}.*, but it takes pictures.*Convert Mask to Image"):
            execute()


def test_what_is_optional_may_be_empty(demo):
    model, _, _, layers, prompt = demo
    assert PatchPromptIntoLayers.execute(model, prompt, layers, 0, "target's own run", None).args
    with pytest.raises(ValueError, match="target_negative is 5"):
        PatchPromptIntoLayers.execute(model, prompt, layers, 0, "target's own run", 5)


def test_lists_are_looked_at_one_by_one(demo):
    model, _, _, layers, prompt = demo
    latents = [{"samples": torch.zeros(1, 12, 16, 32)}, {"samples": None}]
    given = ([model], latents, [prompt], [layers], [2], [2.0], [1e-3], [1], [1], [0], ["fp32"], ["none: begin anew"], [False], [1])
    with pytest.raises(ValueError, match="latents is a value of type dict, but it takes latents"):
        TrainLocalizedLora.execute(*given)


@pytest.mark.parametrize("name", ["gone", "", "../gone", "a\0b", "CAFE \ud800", "x" * 100_000, None, 5, ["a"], {}])
def test_versions_of_what_is_no_file(name):
    """Asked for before anything is checked; what they raise would end ComfyUI 0.3's worker."""
    from text_layers.nodes.lora import CutLora, LoadLocalizedLora
    from text_layers.nodes.text_layers import LoadTextLayers

    assert LoadTextLayers.fingerprint_inputs(None, name) is None
    assert CutLora.fingerprint_inputs(name) is None and LoadLocalizedLora.fingerprint_inputs(name, model=None) is None
