"""Every input of every node does what it says: with another value for it, all that should differ does and nothing else; see every_input."""

import asyncio
import os

import folder_paths
import pytest
from comfy_api.latest import io
from text_layers.nodes import TextLayersExtension
from text_layers.nodes.checked import checked
from text_layers.nodes.patch import PatchPromptIntoLayers

from .every_input.cases import CASES
from .every_input.harness import Runs, check, names
from .every_input.looks import LOOKS
from .every_input.world import World

pytestmark = pytest.mark.any_comfyui

NODES = {node.define_schema().node_id: node for node in asyncio.run(TextLayersExtension().get_node_list())}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    known = {kind: (list(folders), ends) for kind, (folders, ends) in folder_paths.folder_names_and_paths.items()}
    for kind in ("loras", "text_layers", "diffusers"):
        (folder / kind).mkdir()
        folder_paths.add_model_folder_path(kind, str(folder / kind), is_default=True)
    yield Runs(World(folder), LOOKS)
    folder_paths.folder_names_and_paths.update(known)
    folder_paths.filename_list_cache.clear()


def without_a_case(nodes):
    return [name for name in names(nodes) if name not in CASES]


def test_every_input_has_a_case():
    assert without_a_case(NODES.values()) == [], "say in every_input/cases.py what differs with another value"
    assert set(CASES) <= set(names(NODES.values())), "these inputs are gone"


@pytest.mark.parametrize("name", CASES)
def test_another_value_makes_its_difference(runs, name):
    node, declared = name.split(".")
    check(runs, NODES[node], declared, CASES[name])


class DeadInputs(PatchPromptIntoLayers):
    """The node with inputs that it does not look at: an old one and a new one."""

    @classmethod
    def define_schema(cls):
        schema = super().define_schema()
        inputs = [*schema.inputs, io.Int.Input("new", default=0, optional=True)]
        return io.Schema(node_id=schema.node_id, inputs=inputs, outputs=schema.outputs)

    @classmethod
    @checked
    def execute(cls, model, target, text_layers, start_step, method, target_negative=None, keep=None, new=0):
        return PatchPromptIntoLayers.execute(model, target, text_layers, start_step, method)


def test_a_dead_input_is_noticed(runs):
    assert without_a_case([DeadInputs]) == ["TextLayersPatchPrompt.new"]
    with pytest.raises(AssertionError, match="another target_negative makes a difference in nothing"):
        check(runs, DeadInputs, "target_negative", CASES["TextLayersPatchPrompt.target_negative"])


@pytest.mark.parametrize("name", ["TextLayersChoose.layers", "TextLayersMeasureEdit.ignore_case", "TextLayersLoadLora.strength_clip"])
def test_a_second_run_as_usual_makes_no_difference(runs, name):
    """So that what the cases see is the input's doing; a node that does not look at it gives this run."""
    node, declared = name.split(".")
    assert runs.difference(NODES[node], declared, CASES[name], changed=False) == frozenset()
    with pytest.raises(AssertionError):
        check(runs, NODES[node], declared, CASES[name], changed=False)


@pytest.mark.parametrize("name", [name for name, node in NODES.items() if "fingerprint_inputs" in vars(node)])
def test_a_file_that_has_changed_is_read_again(runs, name):
    """ComfyUI runs a node again when its fingerprint is another one."""
    usual, _ = LOOKS[name]
    inputs = usual(runs.world) | ({"resume": [runs.world.trained_lora]} if name == "TextLayersTrainLora" else {})
    file = next(iter(runs.world.folder.rglob(inputs.get("file") or inputs.get("lora_name") or inputs["resume"][0])))
    before = NODES[name].fingerprint_inputs(**inputs)
    assert before and NODES[name].fingerprint_inputs(**inputs) == before
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))
    assert NODES[name].fingerprint_inputs(**inputs) not in (None, before)
