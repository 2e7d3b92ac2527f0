"""What the front end and ComfyUI-Manager ask of every workflow file and blueprint."""

import json
import re
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[1]
FILES = {file.stem: json.loads(file.read_text()) for folder in ("workflows", "subgraphs") for file in (ROOT / folder).glob("*.json")}


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


def test_what_edits_opens_as_an_app():
    for name in FILES:
        edits = name.startswith(("Edit drawn word -", "Change text", "Photo with another word", "Guard drawn text"))
        assert (name in APPS) == edits, name


@pytest.mark.parametrize("name", APPS)
def test_an_app_has_boxes_that_can_be_told_apart_and_a_picture(name):
    nodes, app = {node["id"]: node for node in APPS[name]["nodes"]}, APPS[name]["extra"]["linearData"]
    labels = []
    for number, widget in app["inputs"]:
        slots = [slot for slot in nodes[number]["inputs"] if slot["name"] == widget]
        assert not any(slot.get("link") for slot in slots)  # what is written into it counts
        labels.append(slots[0].get("label") if slots else widget)
    assert len(set(labels)) == len(labels) > 1
    assert {nodes[number]["type"] for number in app["outputs"]} == {"SaveImage"}
