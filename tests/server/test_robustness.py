"""A server with the pack lives, and keeps its files and its models, whatever comes; the long version is benchmarks/robustness."""

import json
from collections import Counter

import comfyui_version
import pytest
from text_layers.benchmarks.server.robustness import fuzz, hostile, interruptions, layer_files, prompts, queues, written
from text_layers.testing.comfy_server import running

CASES, SEED = (60 if comfyui_version.__version__.startswith("0.3.") else 120), 11
WORKER_ENDS = ("no inputs", "inputs null", "inputs a list", "inputs a text")  # with nodes of ComfyUI alone as well, one or the other


@pytest.fixture(scope="module")
def robust(tmp_path_factory, comfyui_path):
    """A server of its own, with the files that every node can work with, and other folders around."""
    base = tmp_path_factory.mktemp("outer") / "inner" / "comfyui"
    base.mkdir(parents=True)
    prompts.write_files(base)
    for place in (base.parent, base.parents[1], base / "models"):
        (place / f"{hostile.STOLEN}.json").write_bytes((base / "models" / "text_layers" / prompts.LAYERS).read_bytes())
        (place / f"{hostile.STOLEN}.safetensors").write_bytes((base / "models" / "loras" / prompts.LORA).read_bytes())
    with running(comfyui_path, base) as server:
        yield server


@pytest.fixture(scope="module")
def of_nodes(robust):
    return prompts.of_nodes(robust)


@pytest.fixture(autouse=True)
def nothing_outside(robust, comfyui_path):
    """After each test the server lives, still draws, and has written nowhere but into its folders. (Of the pack's and ComfyUI's own
    folders the names alone: others may work in them.)"""
    before = written.snapshot(robust.base, comfyui_path)
    yield
    assert robust.alive
    assert robust.run(prompts.edit(robust, "unet", 2)[0], 60)["status"]["status_str"] == "success"
    assert written.outside(before, written.snapshot(robust.base, comfyui_path), robust.base) == []


def test_every_node_has_a_prompt_that_runs(robust, of_nodes):
    ours = {name for name in robust.json("/object_info") if name.startswith("TextLayers")}
    assert set(of_nodes) == ours, "a new node needs a prompt in benchmarks/server/robustness/prompts.py"
    for class_type, (prompt, node) in of_nodes.items():
        assert prompt[node]["class_type"] == class_type
        assert fuzz.outcome(robust.run(prompt)).kind == fuzz.SUCCESS, class_type


def test_hostile_prompts_are_refused_in_words_or_run(robust, of_nodes):
    """ComfyUI's own worker does not survive a node without inputs beside one that can run, and it answers some bodies with 500: these
    are told apart by the traceback in its log, and tried on nodes of ComfyUI alone by the benchmark."""
    cases = list(fuzz.cases(of_nodes, robust.json("/object_info"), CASES, SEED, WORKER_ENDS))
    found = []
    for case in cases:
        found.append((case, fuzz.try_case(robust, case)))
        assert not fuzz.ends_the_server(found[-1][1]), found[-1]
    faults = [f"{case.node}.{case.where}, {case.what}: {one}" for case, one in found if fuzz.is_finding(one)]
    assert not faults, "\n".join(faults)
    counted = Counter(one.kind for _, one in found)
    # What the nodes themselves see, refused by them or run; which of the two a hostile value is, differs from node to node.
    reached = counted[fuzz.FAILED] + counted[fuzz.SUCCESS]
    # With the oldest ComfyUI one of 80 hostile cases runs, and fewer are tried; that prompts run there is the test before.
    some_run = counted[fuzz.SUCCESS] > 0 or comfyui_version.__version__.startswith("0.3.")
    assert reached > CASES / 4 and some_run, f"too few cases reach the nodes: {counted}"
    assert len(cases) == CASES


def file_names(info):
    """(class, input) of every text and choice of the pack's nodes: any of them could become a file's name."""
    for class_type, about in info.items():
        if class_type.startswith("TextLayers"):
            for kind in ("required", "optional"):
                for name, spec in about["input"].get(kind, {}).items():
                    if isinstance(spec[0], list) or spec[0] in ("COMBO", "STRING"):
                        yield class_type, name, spec[0] != "STRING"


@pytest.mark.any_comfyui
def test_no_input_leads_out_of_its_folder(robust, of_nodes):
    """Every text and every choice, with names of files that are there, and of files that are not; also over links, where ComfyUI has
    nodes that pass any value through."""
    info = robust.json("/object_info")
    inputs = list(file_names(info))
    assert {("TextLayersLoad", "file", True), ("TextLayersSave", "filename", False), ("TextLayersSaveLora", "filename_prefix", False)} <= {
        *inputs
    }
    taken = []
    for number, (class_type, name, is_choice) in enumerate(inputs):
        prompt, node = of_nodes[class_type]
        names = [f"{up}{hostile.STOLEN}{end}" for up in ("../", "../../") for end in (".json", ".safetensors")] if is_choice else []
        others = list(hostile.TRAVERSALS.values())
        names += others if class_type in ("TextLayersSave", "TextLayersSaveLora") else [others[number % len(others)]]
        for value in names:
            ways = [(value, {})]
            if "ComfySwitchNode" in info:
                switch = {"class_type": "ComfySwitchNode", "inputs": {"switch": True, "on_false": value, "on_true": value}}
                ways.append((["switch", 0], {"switch": switch}))
            for given, added in ways:
                changed = prompt | {node: prompt[node] | {"inputs": prompt[node]["inputs"] | {name: given}}} | added
                found = fuzz.try_case(robust, fuzz.Case(class_type, name, value, hostile.body({"prompt": changed})))
                assert not fuzz.is_finding(found), (class_type, name, given, found)
                if is_choice and found.kind == fuzz.SUCCESS:
                    taken.append((class_type, name, value))
    assert not taken


@pytest.mark.any_comfyui
def test_what_is_no_file_of_text_layers_is_refused(robust, of_nodes):
    prompt, node = of_nodes["TextLayersLoad"]
    folder = robust.base / "models" / "text_layers"
    names = layer_files.write(robust.base, (folder / prompts.LAYERS).read_text())
    said = layer_files.refusals(robust, json.loads(json.dumps(prompt)), node, names)
    for name in names:
        (folder / name).unlink()
    assert None not in said.values(), said
    assert all(len(text) < 1000 for text in said.values())
    for name, part in {
        "100 MB.json": "larger than any text layers file",
        "byte order mark.json": "UTF-8 without",
        "nested lists.json": "nested too deep",
        "same key twice.json": '"family" stands in it twice',
        "binary.json": "no UTF-8 text",
        "NaN.json": '"scores"',
        "heads without a number.json": "No head of",
        "half a character as source.json": '"source"',
    }.items():
        assert part in said[name], said[name]


def test_half_a_character_does_not_end_the_worker(robust):
    """ComfyUI's worker ends for good when its log cannot write an error's message; this one comes through a node of its own."""
    prompt, _ = prompts.edit(robust, "unet", 2, target="CAF\ud800")
    found = fuzz.try_case(robust, fuzz.Case("CLIPTextEncode", "text", "half a character", hostile.body({"prompt": prompt})))
    assert found.kind == fuzz.FAILED and 'letters A-Z, not "CAF?"' in found.error, found


@pytest.mark.long
@pytest.mark.any_comfyui
def test_interruptions_leave_the_models_as_they_were(robust):
    found = interruptions.interrupt(robust, 6, SEED)
    everything = found.pop("all")
    assert everything["count"] == everything["same_pictures_afterwards"] == everything["interrupted"] == 6, found
    assert len(found) == 6


@pytest.mark.long
@pytest.mark.any_comfyui
def test_memory_stays_from_edit_to_edit(robust):
    """A model or what is kept of a target's run would be 10 MB or more an edit; the sampler's own tensors come and go."""
    found = queues.memory(robust, "mmdit", 15, every=1)
    assert found["succeeded"] == 15
    assert found["mb_per_edit"] < 3, found


@pytest.mark.long
@pytest.mark.any_comfyui
def test_two_clients_get_their_own_pictures(robust):
    found = queues.clients(robust, 2)
    assert found["right_pictures"] == found["edits"] == 4
