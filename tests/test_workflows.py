"""What the front end and ComfyUI-Manager ask of every workflow file and blueprint."""

import json
import re
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]
WIDEST, TALLEST = 1500, 1110  # pixels; what a window of 1600 x 950 shows at a size at which it can be read
TITLE = 30
FILES = {file.stem: json.loads(file.read_text()) for folder in ("workflows", "subgraphs") for file in (ROOT / folder).glob("*.json")}


TEMPLATES = {name: FILES[name] for name in FILES if (ROOT / "workflows" / f"{name}.json").is_file()}


def test_each_workflow_has_an_id_of_its_own():
    """The newest front end logs an error for what is no GUID, and the browser's Back does not return to such a workflow."""
    ids = [uuid.UUID(workflow["id"]) for workflow in FILES.values() if "id" in workflow]
    assert len(ids) == len(set(ids)) == len(list((ROOT / "workflows").glob("*.json")))


@pytest.mark.parametrize("name", FILES)
def test_our_nodes_name_their_pack(name):
    """ComfyUI-Manager finds by it what is missing."""
    graphs = [FILES[name], *FILES[name].get("definitions", {}).get("subgraphs", [])]
    ours = [node for graph in graphs for node in graph["nodes"] if node["type"].startswith("TextLayers")]
    pack = re.search(r'^name = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert ours and {node["properties"].get("cnr_id") for node in ours} == {pack}


APPS = {name: workflow for name, workflow in FILES.items() if workflow.get("extra", {}).get("linearMode")}


def test_what_edits_guards_or_explores_opens_as_an_app():
    """All but searches and trainings, of which the graph is what one looks at."""
    for name in TEMPLATES:
        assert (name in APPS) != name.startswith(("Localize", "Train", "Fix spelling")), name


@pytest.mark.parametrize("name", APPS)
def test_an_app_has_boxes_that_can_be_told_apart_and_a_picture(name):
    nodes, app = {node["id"]: node for node in APPS[name]["nodes"]}, APPS[name]["extra"]["linearData"]
    labels = []
    for number, widget in app["inputs"]:
        slots = [slot for slot in nodes[number]["inputs"] if slot["name"] == widget]
        assert not any(slot.get("link") for slot in slots)  # what is written into it counts
        labels.append(slots[0].get("label") if slots else widget)
    assert len(set(labels)) == len(labels) > 1
    assert {nodes[number]["type"] for number in app["outputs"]} <= {"SaveImage", "PreviewImage"}


@pytest.fixture(params=TEMPLATES)
def template(request):
    return TEMPLATES[request.param]


def of(template, kind):
    return [node for node in template["nodes"] if node["type"] == kind]


def source(template, node, name):
    """[node, slot] that an input is linked to, or None."""
    (number,) = [slot["link"] for slot in node["inputs"] if slot["name"] == name] or [None]
    return next((link[1:3] for link in template["links"] if link[0] == number), None)


def box(node):
    """[left, top, right, bottom] with its title."""
    (x, y), (width, height) = node["pos"], node["size"]
    return x, y - TITLE, x + width, y + (0 if node["flags"].get("collapsed") else height)


def test_it_can_be_read_where_it_opens(template):
    boxes = [box(node) for node in template["nodes"]]
    left, top, right, bottom = (pick(side) for pick, side in zip((min, min, max, max), zip(*boxes, strict=True), strict=True))
    assert right - left <= WIDEST and bottom - top <= TALLEST


def test_no_node_lies_over_another(template):
    open_ones = [node for node in template["nodes"] if not node["flags"].get("collapsed")]  # a collapsed one is as wide as its title
    for n, one in enumerate(open_ones):
        for other in open_ones[n + 1 :]:
            (left, top, right, bottom), (west, north, east, south) = box(one), box(other)
            assert right <= west or east <= left or bottom <= north or south <= top, (one["type"], other["type"])


def test_every_node_stands_in_a_group_and_the_note_says_what_to_do(template):
    groups = [(x, y, x + width, y + height) for x, y, width, height in (group["bounding"] for group in template["groups"])]
    assert all(group["title"] for group in template["groups"]) and len(groups) > 1
    for node in template["nodes"]:
        x, y = node["pos"]
        inside = [left <= x < right and top <= y < bottom for left, top, right, bottom in groups]
        assert sum(inside) == (node["type"] != "MarkdownNote"), node["type"]
    (note,) = of(template, "MarkdownNote")
    (text,) = note["widgets_values"]
    assert len(text) > 200
    assert "`" not in text, "code has the colour of its background in Vue nodes"


def test_seed_steps_and_guidance_are_set_once(template):
    samplers = of(template, "KSampler")
    if len(samplers) > 1:
        for name in ("seed", "steps", "cfg"):
            sources = {tuple(source(template, sampler, name) or ()) for sampler in samplers}
            assert len(sources) == 1 and () not in sources, name


def test_what_is_saved_before_and_after_is_compared(template):
    if len(of(template, "SaveImage")) > 1:
        (compare,) = of(template, "ImageCompare")
        before, after = (source(template, compare, name) for name in ("image_a", "image_b"))
        assert before and after and before != after


def test_a_checkpoint_can_be_downloaded_by_the_front_end(template):
    for node in of(template, "CheckpointLoaderSimple"):
        (model,) = node["properties"]["models"]
        assert [model["name"]] == node["widgets_values"] and model["directory"] == "checkpoints"
        assert model["url"].startswith("https://huggingface.co/") and model["url"].endswith("/" + model["name"])


# In a search, what is written must stand near a name's beginning: the front end looks at its first forty letters or so.
SEARCHED = ("edit text", "change text", "replace text", "erase text", "spelling", "toxic words", "photo", "LoRA", "explore", "localize")


@pytest.mark.parametrize("words", SEARCHED)
def test_a_name_carries_what_is_searched_for(words):
    assert [name for name in TEMPLATES if -1 < name.lower().find(words.lower()) < 25]
