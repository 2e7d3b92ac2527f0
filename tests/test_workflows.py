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
