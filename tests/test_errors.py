"""Each message is explained on the page to which it leads."""

import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from text_layers.benchmarks.server import errors
from text_layers.nodes.text_layers import ChooseTextLayers
from text_layers.nodes.text_set import DrawTextTrainingSet
from text_layers.patching import messages

from .patching.small import small

ROOT = Path(__file__).parents[1]
RENEW = "python dev.py run benchmarks.server.errors says which"


@pytest.mark.any_comfyui
@pytest.mark.parametrize("folder", errors.FOLDERS)
def test_a_page_has_the_messages_of_its_folder_in_their_own_words(folder):
    said = Counter(map(errors.shape, errors.said(folder)))
    written = Counter(map(errors.shape, errors.written(folder)))
    assert said - written == Counter(), f"not on docs/errors/{folder}.md; {RENEW}"
    assert written - said == Counter(), f"no longer said, or twice on docs/errors/{folder}.md; {RENEW}"


@pytest.mark.any_comfyui
def test_messages_are_found_in_all_forms_in_which_the_code_has_them():
    said = [message for folder in errors.FOLDERS for message in errors.said(folder)]
    for form in (
        "There are no words to draw.",
        "Patching should start at step ‹start›, but",  # over two lines, with places
        "The word cannot be read in any picture",  # a function makes the error
        "calls of the model are too few",  # a function makes the text
        "wordninja, which knows English words, is not installed",  # a constant
        "‹…›, which knows toxic words, is not installed",  # with format, of another module
        "The list of text layers is empty. Write indices (10)",  # a constant inside
        "The loss has no gradient that is a number",  # one of two
    ):
        assert sum(form in message for message in said) == 1, form


@pytest.mark.any_comfyui
def test_the_index_has_all_messages_and_leads_to_their_headings():
    assert (errors.PAGES / "README.md").read_text("utf-8") == errors.index(), "renew it: python dev.py run benchmarks.server.errors"
    links = re.findall(r"^- \[.*\]\((\w+)\.md#([\w-]+)\)$", errors.index(), re.M)
    assert len(links) == sum(len(errors.written(folder)) for folder in errors.FOLDERS) > 200
    for page, anchor in set(links):
        headings = re.findall(r"^##+ (.+)$", (errors.PAGES / f"{page}.md").read_text("utf-8"), re.M)
        assert anchor.replace("-", "") in [re.sub(r"\W", "", heading.lower()) for heading in headings], (page, anchor)


def page_of(error):
    """The page that a message ends with."""
    message, address = str(error).split("\nHelp: ")
    (path,) = re.findall(r"^https://github.com/text-layers/text-layers/blob/main/(docs/errors/\w+\.md)$", address)
    return message, (ROOT / path).read_text("utf-8")


SIGNS = {"words": "CAFE", "count": 1, "sign": "any", "wall": "any", "shape": "any", "face": "regular", "ink": "dark", "describe": True,
         "seed": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("node", "inputs", "begins"),
    [
        (DrawTextTrainingSet, SIGNS | {"count": 0}, "› is ‹value›, but"),  # the check of the inputs
        (DrawTextTrainingSet, SIGNS | {"words": ","}, "There are no words to draw."),  # another folder
        (ChooseTextLayers, {"choice": "written below", "layers": "2-1"}, "The range "),
    ],
    ids=["an input", "demo", "patching"],
)
def test_a_nodes_error_leads_to_its_page(node, inputs, begins):
    if node is ChooseTextLayers:
        inputs = {"model": small("sd3").model} | inputs
    with pytest.raises(ValueError) as error:
        node.execute(**inputs)
    assert begins in page_of(error.value)[1]


def test_an_error_while_sampling_leads_to_its_page():
    case = small("sd3")
    with pytest.raises(ValueError) as error:
        case.draw(case.edit(start=3), steps=2)
    message, page = page_of(error.value)
    assert message.endswith("or 2 for the unchanged picture.") and "Patching should start at step ‹start›" in page
    patched = case.edit()
    with pytest.raises(RuntimeError, match="another node called the model directly") as error:
        patched.model_options["transformer_options"]["wrappers"]["apply_model"]["text_layers"][0](None, None, None)
    assert "This model has text layers patched" in page_of(error.value)[1]


@pytest.mark.any_comfyui
def test_only_what_the_pack_says_itself_has_a_page():
    def others():
        raise ValueError("of another pack")

    for fails in (others, lambda: torch.zeros(2) @ torch.zeros(3), lambda: messages.shortened(3), lambda: [].pop()):
        with pytest.raises(Exception) as bare:
            fails()
        with pytest.raises(type(bare.value)) as error, messages.helped():
            fails()
        assert str(error.value) == str(bare.value)


@pytest.mark.any_comfyui
def test_an_import_that_fails_keeps_its_page_and_is_told_once(monkeypatch):
    from text_layers.scoring import english

    monkeypatch.setitem(__import__("sys").modules, "wordninja", None)
    english._ranks.cache_clear()
    with pytest.raises(ImportError) as error, messages.helped(), messages.helped():
        english._ranks()
    message, page = page_of(error.value)
    assert message in page and messages.plain(error.value) == message
