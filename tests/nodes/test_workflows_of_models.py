"""The workflows for models whose files are large: run with tiny random models of the same classes in the loaders' places, and their
files named as ComfyUI's own templates name them."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path

import folder_paths
import pytest
import torch
from PIL import Image
from text_layers.benchmarks.families.templates import __main__ as templates
from text_layers.benchmarks.families.templates.graph import flat
from text_layers.benchmarks.families.templates.run import Run
from text_layers.nodes import TextLayersExtension, localize
from text_layers.patching import models, storage

import nodes

pytestmark = pytest.mark.needs_comfyui("0.30")  # which has all of these models

ROOT = Path(__file__).parents[2]
MODELS = ("Z-Image Turbo", "Krea 2", "Qwen-Image", "Flux.2 Klein", "Flux.1 dev", "SD3.5", "Chroma")
DISTILLED = ("Z-Image Turbo", "Krea 2", "Flux.2 Klein", "Flux.1 dev")
FIND, EDIT = "Localize text layers - {}", "Change text in a picture - {}"


@pytest.fixture(scope="module", autouse=True)
def comfyui():
    templates.prepare()
    ours = asyncio.run(TextLayersExtension().get_node_list())
    nodes.NODE_CLASS_MAPPINGS |= {node.GET_SCHEMA().node_id: node for node in ours}


class OurRun(Run):
    """Our nodes are run, whatever they make."""

    def _stand_in(self, node):
        return None if node.type.startswith("TextLayers") else super()._stand_in(node)


def workflow(name):
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text("utf-8"))


def run(name):
    return OurRun(flat(workflow(name)))


def one(graph, kind):
    (found,) = (node for node in graph.values() if node.type == kind)
    return found


def model_of(run_of):
    loader = next(node for node in run_of.graph.values() if node.type in ("UNETLoader", "CheckpointLoaderSimple"))
    return run_of._model(run_of._value(loader, 0))


@pytest.mark.parametrize("name", MODELS)
def test_an_edit_takes_the_layers_that_the_search_has_saved(name, tmp_path, monkeypatch):
    """The words that they draw, and but for them it is the source's picture to the last bit: the samplers have the same settings."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, storage.FOLDER, ([str(tmp_path)], {".json"}))
    edit_run = run(EDIT.format(name))
    layers = models.written(model_of(edit_run), "1")
    storage.save(layers, one(run(FIND.format(name)).graph, "TextLayersSave").widgets[0])
    source, edit = edit_run.samplers()
    before, after = edit_run.draw(source), edit_run.draw(edit)
    assert before.isfinite().all() and before.shape == after.shape and not torch.equal(before, after)
    given = edit_run.inputs(edit)
    given["model"] = edit_run.inputs(source)["model"]
    assert torch.equal(edit_run._call(edit, given)[0]["samples"], before)
    assert edit_run.output((one(edit_run.graph, "TextLayersLoad").id, 0)) == layers


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "Flux.1 dev" else pytest.mark.long) for name in MODELS])
def test_a_search_draws_and_reads_pictures(name, tmp_path, monkeypatch):
    """And finds that a random model draws no words, which it says."""
    monkeypatch.setattr(localize, "folder", lambda: tmp_path)
    find_run = run(FIND.format(name))
    node = one(find_run.graph, "TextLayersLocalize")
    given = find_run.inputs(node)
    assert set(DISTILLED) & {name} == ({name} if given["cfg"] == 1 else set())
    given |= {"ocr": "RapidOCR", "word_pairs": "CAFE, HOTEL\nOPEN, SHUT", "steps": 2}
    with pytest.raises(ValueError, match="words"):
        find_run._call(node, given)
    assert list(tmp_path.rglob("*.cells"))


@pytest.mark.parametrize("name", MODELS)
def test_search_and_edit_sample_alike(name):
    find_run, edit_run = run(FIND.format(name)), run(EDIT.format(name))
    searched = find_run._widgets(one(find_run.graph, "TextLayersLocalize"))
    for sampler in edit_run.samplers():
        linked = {name: edit_run.output(link) for name, link in sampler.links.items() if name in ("steps", "cfg")}
        drawn = edit_run._widgets(sampler) | linked
        assert [drawn[key] for key in ("steps", "cfg", "sampler_name", "scheduler")] == [
            searched[key] for key in ("steps", "cfg", "sampler_name", "scheduler")
        ]
    kinds = {
        which: [(node.type, node.widgets) for node in one_run.graph.values() if node.type.startswith(("Empty", "ModelSampling"))]
        for which, one_run in (("search", find_run), ("edit", edit_run))
    }
    assert kinds["search"] == kinds["edit"] != []


@pytest.fixture(scope="module")
def published():
    """{file: {(address, folder)}} of all of ComfyUI's own templates."""
    found = defaultdict(set)
    for path in templates.templates():
        about = json.loads(path.read_text("utf-8"))
        if isinstance(about, dict):
            for file in files_of(about):
                found[file["name"]].add((file["url"].split("?")[0], file["directory"]))
    return found


def files_of(about):
    graphs = [about, *about.get("definitions", {}).get("subgraphs", [])]
    return [file for graph in graphs for node in graph.get("nodes", ()) for file in node.get("properties", {}).get("models", ())]


@pytest.mark.parametrize("name", [kind.format(name) for name in MODELS for kind in (FIND, EDIT)])
def test_files_are_offered_as_in_comfyuis_own_templates(name, published):
    """The front end asks for what is missing, with the address that stands in the loader's node."""
    about = workflow(name)
    files = files_of(about)
    named = [value for node in about["nodes"] for value in node["widgets_values"] if str(value).endswith((".safetensors", ".sft"))]
    assert [file["name"] for file in files] == named != []
    (note,) = (node["widgets_values"][0] for node in about["nodes"] if node["type"] == "MarkdownNote")
    for file in files:
        assert (file["url"], file["directory"]) in published[file["name"]] and f"]({file['url']})" in note
    assert Image.open(ROOT / "workflows" / f"{name}.jpg").size == (400, 400)
