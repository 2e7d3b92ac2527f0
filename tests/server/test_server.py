"""The pack in a real ComfyUI server, driven over its API."""

import ast
import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import comfyui_version
import numpy as np
import pytest
from PIL import Image
from text_layers.lora.files import read
from text_layers.lora.state import read as read_training

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
DEMO = [w for w in WORKFLOWS if w.name.startswith("Edit") and "demo" in w.name]  # one of them by the blueprint
EDIT = ROOT / "workflows" / "Edit text, change a word - demo MMDiT.json"
LOCALIZE = next(w for w in WORKFLOWS if w.name.startswith("Localize") and "demo MMDiT" in w.name)  # the browser takes the U-Net's
PATIENCE = 20  # seconds in which an interrupted run ends, on a busy machine too: uninterrupted, it would take minutes
NODES = {page.stem for page in (ROOT / "web" / "docs").glob("*.md")}


def test_all_nodes_are_there_and_explain_themselves(server):
    info = server.json("/object_info")
    assert {name for name in info if name.startswith("TextLayers")} == NODES
    for node in NODES:
        assert info[node]["description"], node
        assert info[node].get("search_aliases") or comfyui_version.__version__.startswith("0.3."), node
        for kind in ("required", "optional"):
            for name, spec in info[node]["input"].get(kind, {}).items():
                assert spec[1].get("tooltip"), f"{node}.{name} has no tooltip"
        help_page = server.get(f"/extensions/renamed-by-manager/docs/{node}.md")
        assert help_page.startswith(b"# " + info[node]["display_name"].encode())
        assert f"]({node}.webp)".encode() in help_page
        assert Image.open(io.BytesIO(server.get(f"/extensions/renamed-by-manager/docs/{node}.webp"))).width > 300


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_fit_the_nodes(server, path):
    info = server.json("/object_info")
    prompt = server.api_prompt(json.loads(path.read_text()))
    for node in prompt.values():
        declared = info[node["class_type"]]["input"]
        assert set(declared.get("required", {})) <= set(node["inputs"]), node
        assert set(node["inputs"]) <= {*declared.get("required", {}), *declared.get("optional", {})}, node
    assert path.with_suffix(".jpg").is_file()


def edit_nodes(prompt):
    """(id of the source's SaveImage, id of the edit's SaveImage)."""
    saves = {node["inputs"]["filename_prefix"].rsplit("-", 1)[1]: n for n, node in prompt.items() if node["class_type"] == "SaveImage"}
    return saves["source"], saves["edit"]


@pytest.mark.parametrize("path", DEMO, ids=lambda p: p.stem)
def test_demo_workflows_run_and_change_only_the_word(server, path, tmp_path):
    from text_layers.demo import signs
    from text_layers.scoring.ocr import engine

    prompt = server.api_prompt(json.loads(path.read_text()))
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    found = {}
    for node, data in server.pictures(entry).items():
        (tmp_path / "picture.png").write_bytes(data)
        found[node] = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB"))
    source, edit = (found[n] for n in edit_nodes(prompt))
    small = np.asarray(Image.fromarray(edit).resize((signs.WIDTH, signs.HEIGHT), Image.BOX))
    assert signs.read_colours(small) == ("blue", "red")
    ocr = engine("RapidOCR")
    assert (ocr.read(source[::2, ::2].copy()), ocr.read(edit[::2, ::2].copy())) == ("CAFE", "HOTEL")


MANY = next(path for path in WORKFLOWS if path.stem.startswith("Replace text"))
KEEP = [path for path in WORKFLOWS if path.stem.startswith(("Change text in a picture - demo", "Change text in a photo, inpaint"))]


@pytest.mark.parametrize("path", KEEP, ids=lambda p: p.stem)
def test_all_but_the_word_stays_to_the_last_bit(server, path):
    from text_layers.scoring.ocr import engine

    prompt = server.api_prompt(json.loads(path.read_text()))
    for scale in (node for node in prompt.values() if node["class_type"] == "ImageScaleBy"):
        scale["inputs"] |= {"upscale_method": "nearest-exact", "scale_by": 4}
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    images = server.images(entry)
    source, edit = (np.asarray(images[n].convert("RGB")) for n in edit_nodes(prompt))
    ocr = engine("EasyOCR")  # RapidOCR sees what the U-Net leaves of the E below the L
    assert (ocr.read(source), ocr.read(edit)) == ("CAFE", "HOTEL")
    same = (source == edit).all(-1)
    assert same.mean() > 0.3 and same[:8].all() and same[-8:].all()
    (said,) = [output["text"][0] for output in entry["outputs"].values() if "source's own" in str(output.get("text"))]
    assert float(said.split("%")[0]) == pytest.approx(100 * same.mean(), abs=25)  # and pixels beside them that are alike


def test_each_word_of_a_list_becomes_a_picture_of_one_source(server):
    from text_layers.scoring.ocr import engine

    prompt = server.api_prompt(json.loads(MANY.read_text()))
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (source,), edits = ([np.asarray(image.convert("RGB")) for image in server.all_images(entry, n)] for n in edit_nodes(prompt))
    ocr = engine("EasyOCR")
    assert [ocr.read(picture) for picture in (source, *edits)] == ["CAFE", "HOTEL", "PARK", "OPEN"]
    for edit in edits:
        same = (source == edit).all(-1)
        assert same.mean() > 0.3 and same[:8].all() and same[-8:].all()


@pytest.mark.long
def test_localize_finds_the_layers_and_an_interrupted_search_goes_on(server):
    prompt = server.api_prompt(json.loads(LOCALIZE.read_text()))
    inputs = next(n for n in prompt.values() if n["class_type"] == "TextLayersLocalize")["inputs"]
    inputs |= {"ocr": "RapidOCR", "word_pairs": "\n".join(inputs["word_pairs"].splitlines()[:17])}
    number = server.post("/prompt", {"prompt": prompt})["prompt_id"]
    cells = server.base / "user" / "text_layers" / "cells"
    before = {file: file.stat().st_size for file in cells.rglob("*.cells")}
    for _ in range(600):
        grown = {file: file.stat().st_size for file in cells.rglob("*.cells")}
        if sum(grown.values()) > sum(before.values()) + 2000:
            break
        time.sleep(0.1)
    asked = time.time()
    server.post("/interrupt", {})
    entry = server.wait(number)
    assert entry["status"]["status_str"] == "error" and time.time() - asked < PATIENCE
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (text,) = next(
        output["text"] for output in entry["outputs"].values() if "of" in str(output.get("text")) and "decide" in str(output["text"])
    )
    assert all(f"  {layer}: " in text for layer in (0, 1)), text
    assert len(server.pictures(entry)) == 2
    (saved,) = (server.base / "models" / "text_layers").glob(f"{LOCALIZE.stem.split(' - ')[1]} layers.json")
    assert json.loads(saved.read_text())["source"].startswith("localized, gradients")


@pytest.mark.any_comfyui
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"template": "a sign"}, "does not say where the word goes"),
        ({"word_pairs": "CAFE"}, "expected two words"),
        ({"word_pairs": "A, B"}, "too short"),
        ({"word_pairs": "CAFE, CAFE"}, "both words are the same"),
        ({"word_pairs": ""}, "There are no word pairs"),
        ({"word_pairs": "CAFETERIA, HOTEL"}, "demo models draw words of 1 to 6 letters"),
    ],
)
def test_localize_says_what_is_wrong(server, changes, message):
    prompt = server.api_prompt(json.loads(LOCALIZE.read_text()))
    node = next(n for n in prompt.values() if n["class_type"] == "TextLayersLocalize")
    node["inputs"] |= changes
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "error" and message in json.dumps(entry["status"]["messages"])


def test_errors_reach_the_user(server):
    prompt = server.api_prompt(json.loads(EDIT.read_text()))
    choose = next(n for n in prompt.values() if n["class_type"] == "TextLayersChoose")
    choose["inputs"] |= {"choice": "written below", "layers": "99"}
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "error"
    assert "There is no text layer 99" in json.dumps(entry["status"]["messages"])


def test_a_latent_too_small_for_a_word_is_refused(server):
    prompt = server.api_prompt(json.loads(EDIT.read_text()))
    next(n for n in prompt.values() if n["class_type"] == "EmptyLatentImage")["inputs"] |= {"width": 32, "height": 16}
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "error"
    assert "64 x 32 pixels: set Empty Latent Image to that" in json.dumps(entry["status"]["messages"])


def demo_prompt(server, **sampler):
    """The MMDiT's demo workflow as an API prompt, with other settings of its samplers."""
    prompt = server.api_prompt(json.loads(next(w for w in DEMO if "MMDiT" in w.name).read_text()))
    for node in prompt.values():
        if node["class_type"] == "KSampler":
            node["inputs"] |= sampler
    return prompt


def executed(entry):
    """Ids of the nodes that ran, the cached ones left out."""
    cached = {n for kind, data in entry["status"]["messages"] if kind == "execution_cached" for n in data["nodes"]}
    return set(entry["outputs"]) - cached


def test_queueing_again_draws_only_what_changed(server):
    prompt = demo_prompt(server, seed=21)
    first = server.run(prompt)
    source, edit = edit_nodes(prompt)
    assert first["status"]["status_str"] == "success"
    changed = json.loads(json.dumps(prompt))
    patch = next(n for n in changed.values() if n["class_type"] == "TextLayersPatchPrompt")
    patch["inputs"]["start_step"] = 3
    second = server.run(changed)
    assert source not in executed(second) and edit in executed(second)
    steps = next(n for n in prompt.values() if n["class_type"] == "KSampler")["inputs"]["steps"]
    patch["inputs"]["start_step"] = steps
    unpatched = server.pixels(server.run(changed))
    assert unpatched[edit] == unpatched[source]
    patch["inputs"]["start_step"] = 0
    third = server.run(changed)
    assert server.pixels(third)[edit] == server.pixels(first)[edit]


def test_interrupting_an_edit_leaves_the_model_as_it_was(server):
    before = server.pixels(server.run(demo_prompt(server, seed=22)))
    for seconds in (0.5, 1.5, 3):  # in the source's run, the target's own run, or the edit, as it comes
        number = server.post("/prompt", {"prompt": demo_prompt(server, seed=22, steps=3000)})["prompt_id"]
        while number not in [job[1] for job in server.json("/queue")["queue_running"]]:
            time.sleep(0.05)
        time.sleep(seconds)
        server.post("/interrupt", {})
        entry = server.wait(number, PATIENCE)
        assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]
    assert server.pixels(server.run(demo_prompt(server, seed=22))) == before


def test_save_and_load(server):
    prompt = server.api_prompt(json.loads(EDIT.read_text()))
    model, choose = (next(n for n, v in prompt.items() if v["class_type"] == c) for c in ("TextLayersLoadDemoModel", "TextLayersChoose"))
    save = {n: prompt[n] for n in (model, choose)}
    save["save"] = {"class_type": "TextLayersSave", "inputs": {"text_layers": [choose, 0], "filename": "mine"}}
    assert server.run(save)["status"]["status_str"] == "success"
    written = json.loads((server.base / "models" / "text_layers" / "mine.json").read_text())
    assert written["text_layers"] == 1 and written["names"]
    load = {model: prompt[model], "load": {"class_type": "TextLayersLoad", "inputs": {"model": [model, 0], "file": "mine.json"}}}
    assert server.run(load)["status"]["status_str"] == "success"
    other = json.loads(json.dumps(load))
    other[model]["inputs"]["demo_model"] = "unet" if prompt[model]["inputs"]["demo_model"] == "mmdit" else "mmdit"
    entry = server.run(other)
    assert "belong to another architecture" in json.dumps(entry["status"]["messages"])
    outside = json.loads(json.dumps(save))
    outside["save"]["inputs"]["filename"] = "../../outside"
    assert "no good file name" in json.dumps(server.run(outside)["status"]["messages"])


@pytest.mark.any_comfyui
def test_importing_the_pack_is_quick_and_pulls_nothing_heavy():
    """The entry point alone; the speed itself is in benchmarks/cost."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import importlib; importlib.import_module(sys.argv[2]); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code, str(ROOT.parent), ROOT.name], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "easyocr", "diffusers", "matplotlib", "peft"} & set(out.split())


@pytest.mark.any_comfyui
def test_nothing_forbidden_ships():
    """No eval, exec, pickle, subprocess or run-time pip outside of what .comfyignore keeps back."""
    ignored = [line.rstrip("/") for line in (ROOT / ".comfyignore").read_text().split()]
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    shipped = [name for name in tracked if not any(name == i or name.startswith(i + "/") for i in ignored)]
    assert "patching/patch.py" in shipped
    for name in shipped:
        tree = ast.parse((ROOT / name).read_text())
        called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not called & {"eval", "exec", "compile", "__import__"}, name
        assert not modules & {"pickle", "subprocess", "pip", "ctypes"}, name


def source_sampler(prompt):
    """The KSampler of the source's picture."""
    node = prompt[edit_nodes(prompt)[0]]
    while node["class_type"] != "KSampler":
        node = prompt[next(node["inputs"][name][0] for name in ("images", "image", "samples") if name in node["inputs"])]
    return node


@pytest.fixture
def lora_prompt(server):
    """The demo workflow whose source picture has a random LoRA, on all blocks of the MMDiT, in the text layers."""
    import torch
    from safetensors.torch import save_file
    from text_layers.demo import comfy_model

    random, tensors = torch.Generator().manual_seed(0), {}
    for name, weight in comfy_model.load("mmdit")[0].model.diffusion_model.state_dict().items():
        if name.startswith("joint_blocks.") and name.endswith("x_block.attn.qkv.weight"):
            key = f"diffusion_model.{name.removesuffix('.weight')}"
            tensors[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], 4, generator=random)
            tensors[f"{key}.lora_down.weight"] = 0.1 * torch.randn(4, weight.shape[1], generator=random)
    folder = server.base / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "random.safetensors")
    prompt = demo_prompt(server, seed=23)
    model, choose = (next(n for n, v in prompt.items() if v["class_type"] == c) for c in ("TextLayersLoadDemoModel", "TextLayersChoose"))
    sampler = source_sampler(prompt)
    prompt["lora"] = {
        "class_type": "TextLayersLoadLora",
        "inputs": {"model": [model, 0], "text_layers": [choose, 0], "lora_name": "random.safetensors", "strength_text_layers": 1.0,
                   "strength_elsewhere": 0.0, "strength_clip": 0.0},
    }  # fmt: skip
    sampler["inputs"]["model"] = ["lora", 0]
    return prompt


def test_a_lora_in_the_text_layers(server, lora_prompt):
    plain = server.pixels(server.run(demo_prompt(server, seed=23)))
    entry = server.run(lora_prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    source, edit = edit_nodes(lora_prompt)
    found = server.pixels(entry)
    assert found[source] != plain[source] and found[edit] == plain[edit]
    (report,) = entry["outputs"]["lora"]["text"]
    assert "holds 8 modules of rank 4" in report and "3 of 8 weights (38%), strength 1" in report
    # Another file of the same name is read again.
    (server.base / "models" / "loras" / "random.safetensors").write_bytes(b"no safetensors")
    entry = server.run(lora_prompt)
    assert entry["status"]["status_str"] == "error" and "random.safetensors cannot be read" in json.dumps(entry["status"]["messages"])


def test_a_lora_cut_down_and_saved_by_comfyui(server, lora_prompt):
    layers, name = lora_prompt["lora"]["inputs"]["text_layers"], "random.safetensors"
    cut = {n: v for n, v in lora_prompt.items() if v["class_type"] in ("TextLayersLoadDemoModel", "TextLayersChoose")}
    model = lora_prompt["lora"]["inputs"]["model"]
    cut["cut"] = {"class_type": "TextLayersCutLora", "inputs": {"model": model, "text_layers": layers, "lora_name": name}}
    cut["save"] = {"class_type": "TextLayersSaveLora", "inputs": {"lora": ["cut", 0], "filename_prefix": "loras/cut"}}
    entry = server.run(cut)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (saved,) = (server.base / "output" / "loras").glob("cut*.safetensors")
    saved.rename(server.base / "models" / "loras" / "cut.safetensors")
    ours = server.pixels(server.run(lora_prompt))
    stock = dict(lora_prompt)
    stock["lora"] = {"class_type": "LoraLoaderModelOnly", "inputs": {"model": model, "lora_name": "cut.safetensors", "strength_model": 1.0}}
    assert server.pixels(server.run(stock)) == ours


@pytest.fixture
def training_prompt(server):
    """Trains on one white picture, through core's own nodes."""
    prompt = demo_prompt(server)
    loader, choose = (next(n for n, v in prompt.items() if v["class_type"] == c) for c in ("TextLayersLoadDemoModel", "TextLayersChoose"))
    text = next(v for v in prompt.values() if v["class_type"] == "CLIPTextEncode")
    return {
        loader: prompt[loader],
        choose: prompt[choose],
        "text": text,
        "image": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 0xFFFFFF}},
        "latent": {"class_type": "VAEEncode", "inputs": {"pixels": ["image", 0], "vae": [loader, 2]}},
        "train": {
            "class_type": "TextLayersTrainLora",
            "inputs": {"model": [loader, 0], "latents": ["latent", 0], "positive": ["text", 0], "text_layers": [choose, 0], "rank": 2,
                       "alpha": 2.0, "learning_rate": 1e-2, "steps": 20, "batch_size": 1, "seed": 1, "training_dtype": "fp32",
                       "resume": "none: begin anew", "gradient_checkpointing": False, "preview_every": 10},
        },
        "save": {"class_type": "TextLayersSaveLora", "inputs": {"lora": ["train", 0], "filename_prefix": "loras/trained"}},
    }  # fmt: skip


def test_training_makes_a_file_that_comfyui_loads(server, training_prompt):
    before = server.pixels(server.run(demo_prompt(server, seed=24)))
    entry = server.run(training_prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (saved,) = (server.base / "output" / "loras").glob("trained_*.safetensors")
    plain = demo_prompt(server, seed=24)
    assert server.pixels(server.run(plain)) == before
    source, sampler = edit_nodes(plain)[0], source_sampler(plain)
    plain["lora"] = {"class_type": "LoraLoaderModelOnly",
                     "inputs": {"model": sampler["inputs"]["model"], "lora_name": saved.name, "strength_model": 1.0}}  # fmt: skip
    sampler["inputs"]["model"] = ["lora", 0]
    assert server.pixels(server.run(plain))[source] != before[source]
    # And one to go on with: a step that learns next to nothing leaves it as it was.
    training_prompt["train"]["inputs"] |= {"resume": saved.name, "steps": 1, "learning_rate": 1e-8}
    again = server.run(training_prompt)
    assert again["status"]["status_str"] == "success", again["status"]
    first, second = map(read, sorted((server.base / "output" / "loras").glob("trained_*.safetensors")))
    assert second.metadata["ss_steps"] == "21" and first.tensors.keys() == second.tensors.keys()
    assert all((first.tensors[key] - w).abs().max() < 1e-6 for key, w in second.tensors.items())
    assert any(w.abs().max() > 1e-3 for key, w in first.tensors.items() if "lora_up" in key or "lora_B" in key)


@pytest.mark.any_comfyui
def test_an_interrupted_training_keeps_its_lora(server, training_prompt):
    training_prompt["train"]["inputs"] |= {"steps": 100000, "seed": 2}
    number = server.post("/prompt", {"prompt": training_prompt})["prompt_id"]
    while number not in [job[1] for job in server.json("/queue")["queue_running"]]:
        time.sleep(0.05)
    time.sleep(5)
    asked = time.time()
    server.post("/interrupt", {})
    entry = server.wait(number, PATIENCE)
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]] and time.time() - asked < PATIENCE
    (lora,) = (server.base / "output" / "loras").glob("training_*.safetensors")
    state = lora.with_suffix(".training")
    step = read_training(state).step
    for inputs in ({"steps": step + 2, "resume": state.name}, {"steps": 2, "resume": lora.name}):
        training_prompt["train"]["inputs"] |= inputs
        again = server.run(training_prompt)
        assert again["status"]["status_str"] == "success", again["status"]
        (text,) = again["outputs"]["train"]["text"]
        assert text.startswith(f"{inputs['steps']} steps") and (f"It went on from step {step}, " in text) == (inputs["steps"] > 2)


@pytest.mark.any_comfyui
def test_a_synthetic_set_is_trained_on_with_previews(server, training_prompt):
    """Through core's Make Training Dataset; then by core's own SaveLoRA, which knows nothing of the metadata."""
    del training_prompt["text"], training_prompt["image"], training_prompt["latent"]
    loader = training_prompt["train"]["inputs"]["model"][0]
    training_prompt |= {
        "set": {"class_type": "TextLayersDrawTrainingSet",
                "inputs": {"words": "cafe, box\nHOTEL", "count": 5, "sign": "any", "wall": "blue", "shape": "any", "face": "bold",
                           "ink": "dark", "describe": True, "seed": 3}},
        "data": {"class_type": "MakeTrainingDataset", "inputs": {"images": ["set", 0], "texts": ["set", 1], "vae": [loader, 2],
                                                                 "clip": [loader, 1]}},
        "look": {"class_type": "PreviewImage", "inputs": {"images": ["train", 3]}},
        "core": {"class_type": "SaveLoRA", "inputs": {"lora": ["train", 0], "prefix": "loras/core"}},
    }  # fmt: skip
    training_prompt["save"]["inputs"]["filename_prefix"] = "loras/synthetic"
    training_prompt["train"]["inputs"] |= {"latents": ["data", 0], "positive": ["data", 1], "vae": [loader, 2], "steps": 6,
                                           "preview_every": 2, "batch_size": 3, "gradient_checkpointing": True}  # fmt: skip
    entry = server.run(training_prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert len(entry["outputs"]["look"]["images"]) == 3
    folder = server.base / "output" / "loras"
    (ours,), (core,) = (map(read, folder.glob(pattern)) for pattern in ("synthetic_*.safetensors", "core_*.safetensors"))
    assert ours.metadata["ss_steps"] == "6" and not core.metadata
    assert set(ours.tensors) == set(core.tensors) and all(core.tensors[key].equal(w) for key, w in ours.tensors.items())


@pytest.mark.any_comfyui
@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("set", {"words": " , "}, "There are no words to draw"),
        ("set", {"sign": "blue"}, "Sign and wall are both blue"),
        ("save", {"filename_prefix": "../../stolen"}, "inside ComfyUI's output folder"),
        ("train", {"rank": 3, "resume": "resumed_00001_.safetensors"}, "with rank 3 it would be"),
    ],
)
def test_training_nodes_say_what_is_wrong(server, training_prompt, node, inputs, message):
    if inputs.get("resume"):
        first = dict(training_prompt)
        first["train"]["inputs"]["steps"] = 1
        first["save"]["inputs"]["filename_prefix"] = "loras/resumed"
        server.run(first)
    training_prompt["set"] = {"class_type": "TextLayersDrawTrainingSet",
                              "inputs": {"words": "CAFE", "count": 1, "sign": "any", "wall": "blue", "shape": "any", "face": "regular",
                                         "ink": "dark", "describe": True, "seed": 3}}  # fmt: skip
    training_prompt["latent"]["inputs"]["pixels"] = ["set", 0]
    training_prompt["train"]["inputs"] |= {"steps": 1}
    training_prompt[node]["inputs"] |= inputs
    entry = server.run(training_prompt)
    (error,) = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    assert message in error["exception_message"]
    assert not list(server.base.parent.glob("stolen*")) and not list(server.base.glob("stolen*"))


def measuring_prompt(server, **inputs):
    """Source, edit and plain target of a demo model through Measure Text Edit."""
    prompt = demo_prompt(server)
    decoded = [node for node, value in prompt.items() if value["class_type"] == "VAEDecode"]
    prompt = {node: value for node, value in prompt.items() if value["class_type"] not in ("SaveImage", "ImageScaleBy")}
    return prompt | {
        "measure": {"class_type": "TextLayersMeasureEdit",
                    "inputs": {"source": [decoded[0], 0], "edited": [decoded[1], 0], "wanted": "HOTEL", "ocr": "EasyOCR"} | inputs},
        "look": {"class_type": "PreviewImage", "inputs": {"images": ["measure", 1]}},
    }  # fmt: skip


def test_an_edit_is_measured(server):
    entry = server.run(measuring_prompt(server))
    assert entry["status"]["status_str"] == "success", entry["status"]
    (text,) = entry["outputs"]["measure"]["text"]
    assert (
        'source: reads "CAFE"' in text
        and 'edited: reads "HOTEL", wanted is "HOTEL", compared' in text
        and ": f1 1.00" in text
        and "background: PSNR" in text
    )
    assert len(entry["outputs"]["look"]["images"]) == 1


@pytest.mark.any_comfyui
@pytest.mark.parametrize(
    ("edited", "wanted", "message"),
    [
        ({"width": 32, "height": 32, "batch_size": 1, "color": 0}, "HOTEL", "different sizes"),
        ({"width": 64, "height": 32, "batch_size": 3, "color": 0}, "HOTEL, CAFE", "2 wanted words for 3 edited pictures"),
        ({"width": 64, "height": 32, "batch_size": 1, "color": 0}, "...", "is left to be compared"),
        ({"width": 64, "height": 32, "batch_size": 1, "color": 0}, " ", "0 wanted words"),
    ],
)
def test_what_cannot_be_measured_is_an_error(server, edited, wanted, message):
    prompt = measuring_prompt(server, edited=["empty", 0], wanted=wanted)
    prompt["empty"] = {"class_type": "EmptyImage", "inputs": edited}
    entry = server.run(prompt)
    (error,) = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    assert message in error["exception_message"]


@pytest.mark.any_comfyui
def test_a_batch_with_a_word_each_is_measured(server):
    prompt = measuring_prompt(server, edited=["empty", 0], wanted="HOTEL\nCAFE\nBOX", ocr="RapidOCR")
    prompt["empty"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 3, "color": 0}}
    entry = server.run(prompt)
    (text,) = entry["outputs"]["measure"]["text"]
    assert [f'wanted is "{word}"' in part for word, part in zip(("HOTEL", "CAFE", "BOX"), text.split("\n\n"), strict=True)] == [True] * 3
    assert len(entry["outputs"]["look"]["images"]) == 3


def guarding_prompt(server, prompt, **inputs):
    """The demo U-Net, guarded, with Check Drawn Text behind the sampler."""
    edit = demo_prompt(server)
    sampler = next(node for node, value in edit.items() if value["class_type"] == "KSampler")
    load, layers = (next(n for n, v in edit.items() if v["class_type"] == kind) for kind in ("TextLayersLoadDemoModel", "TextLayersChoose"))
    edit[edit[sampler]["inputs"]["positive"][0]]["inputs"]["text"] = prompt
    edit[sampler]["inputs"]["model"] = ["guard", 0]
    defaults = {"replacement": "FLOWER", "allow": "", "block": "", "start_step": 0, "method": "target's own run"}
    wanted = {
        value for value in edit if edit[value]["class_type"] not in ("TextLayersPatchPrompt", "SaveImage", "ImageScaleBy", "VAEDecode")
    }
    others = {node for node in wanted if edit[node]["class_type"] == "KSampler" and node != sampler}
    return {node: edit[node] for node in wanted - others} | {
        "guard": {"class_type": "TextLayersGuard", "inputs": {"model": [load, 0], "clip": [load, 1], "prompt": prompt,
                                                              "text_layers": [layers, 0]} | defaults | inputs},
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": [sampler, 0], "vae": [load, 2]}},
        "check": {"class_type": "TextLayersCheck", "inputs": {"image": ["decode", 0], "ocr": "EasyOCR", "allow": "", "block": ""}},
        "look": {"class_type": "PreviewImage", "inputs": {"images": ["check", 3]}},
        "cleaned": {"class_type": "PreviewAny", "inputs": {"source": ["guard", 1]}},
    }  # fmt: skip


def test_a_guarded_picture_has_another_word(server):
    asked = 'a red round sign on a blue wall that says "BITCH"'
    entry = server.run(guarding_prompt(server, asked))
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert entry["outputs"]["cleaned"]["text"] == [asked.replace("BITCH", "FLOWER")]
    assert entry["outputs"]["check"]["text"] == ["No toxic word was read."] and len(entry["outputs"]["look"]["images"]) == 1
    unguarded = server.run(guarding_prompt(server, asked, allow="bitch"))
    assert unguarded["outputs"]["cleaned"]["text"] == [asked] and unguarded["outputs"]["check"]["text"] == ["Toxic: BITCH"]


@pytest.mark.any_comfyui
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"replacement": ""}, "do not know the word|do not know the letter|\\*"),
        ({"replacement": "SHIT"}, "toxic itself"),
        ({"replacement": "SUNFLOWER"}, "6 letters|at most"),
        ({"block": "cafe, *"}, "holds no letter"),
    ],
)
def test_what_cannot_be_guarded_is_an_error(server, inputs, message):
    entry = server.run(guarding_prompt(server, 'a red round sign on a blue wall that says "BITCH"', **inputs))
    (error,) = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    assert re.search(message, error["exception_message"]), error["exception_message"]


def photo_prompt(server):
    return server.api_prompt(json.loads((ROOT / "workflows" / "Change text in a photo, invert it - demo U-Net.json").read_text()))


def test_a_picture_that_was_not_drawn_here_gets_another_word(server):
    from text_layers.demo import signs
    from text_layers.scoring.ocr import engine

    prompt = photo_prompt(server)
    composite, (mask,) = ([n for n, v in prompt.items() if v["class_type"] == kind] for kind in ("ImageCompositeMasked", "TextLayersMask"))
    inputs = prompt[composite[0]]["inputs"]
    for name, source in (("before", inputs["destination"]), ("after", [composite[0], 0]), ("mask", ["mask picture", 0])):
        prompt[name] = {"class_type": "SaveImage", "inputs": {"images": source, "filename_prefix": f"small-{name}"}}
    prompt["mask picture"] = {"class_type": "MaskToImage", "inputs": {"mask": [mask, 0]}}
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    named = {prompt[node]["inputs"]["filename_prefix"].rsplit("-", 1)[1]: image for node, image in server.images(entry).items()}
    shown = {name: np.asarray(image.convert("RGB").resize((256, 128))) for name, image in named.items()}
    assert [engine("EasyOCR").read(shown[name]) for name in ("picture", "reconstruction", "edited")] == ["CAFE", "CAFE", "HOTEL"]
    before, after, masked = (np.asarray(named[name].convert("RGB")) for name in ("before", "after", "mask"))
    outside = masked[..., 0] == 0
    assert 0.2 < outside.mean() < 0.8 and np.array_equal(before[outside], after[outside]), "outside of the mask nothing changes"
    small = np.asarray(named["edited"].convert("RGB").resize((signs.WIDTH, signs.HEIGHT), Image.BOX))
    assert signs.read_colours(small) == ("green", "white")
    invert = next(node for node, value in prompt.items() if value["class_type"] == "TextLayersInvert")
    assert re.search(r"drawn again with PSNR \d\d\.\d dB, by the VAE alone exactly", entry["outputs"][invert]["text"][0])


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("BasicScheduler", {"denoise": 0.0}, "end without noise"),
        ("TextLayersMask", {"image": ["small", 0]}, "give as many of the same size"),
        ("TextLayersInvert", {"image": ["broken", 0]}, "too small|size|shape"),
    ],
)
def test_what_cannot_be_inverted_says_so(server, node, inputs, message):
    prompt = photo_prompt(server)
    prompt["small"] = {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 0}}
    prompt["broken"] = {"class_type": "EmptyImage", "inputs": {"width": 1, "height": 1, "batch_size": 1, "color": 0}}
    next(value for value in prompt.values() if value["class_type"] == node)["inputs"] |= inputs
    entry = server.run(prompt)
    (error,) = [body for kind, body in entry["status"]["messages"] if kind == "execution_error"]
    assert re.search(message, error["exception_message"]), error["exception_message"]


HOSTILE = {
    "one pixel": {"width": 1, "height": 1, "batch_size": 1},
    "a strip": {"width": 4096, "height": 8, "batch_size": 1},
    "read in pieces": {"width": 1400, "height": 300, "batch_size": 1},
    "a batch": {"width": 64, "height": 32, "batch_size": 3},
}


# With alpha a picture is read on white and on black, each as an opaque one: the small ones are enough for that.
@pytest.mark.any_comfyui
@pytest.mark.parametrize(("size", "alpha"), [(size, size in ("one pixel", "a batch")) for size in HOSTILE], ids=str)
def test_any_picture_is_read_or_refused_in_words(server, size, alpha):
    """Check Drawn Text, Mask Drawn Text and Measure Text Edit; with alpha, core's four channels."""
    prompt = {"picture": {"class_type": "EmptyImage", "inputs": {"color": 0xFFFFFF, **HOSTILE[size]}}}
    image = ["picture", 0]
    if alpha:
        prompt["alpha"] = {
            "class_type": "SolidMask",
            "inputs": {"value": 0.5, "width": HOSTILE[size]["width"], "height": HOSTILE[size]["height"]},
        }
        prompt["joined"] = {"class_type": "JoinImageWithAlpha", "inputs": {"image": image, "alpha": ["alpha", 0]}}
        image = ["joined", 0]
    prompt |= {
        "check": {"class_type": "TextLayersCheck", "inputs": {"image": image, "ocr": "RapidOCR", "allow": "", "block": ""}},
        "mask": {"class_type": "TextLayersMask", "inputs": {"image": image, "ocr": "RapidOCR", "grow": 4, "also": image}},
        "measure": {"class_type": "TextLayersMeasureEdit",
                    "inputs": {"source": image, "edited": image, "wanted": "CAFE", "ocr": "RapidOCR"}},
        "shown": {"class_type": "MaskPreview", "inputs": {"mask": ["mask", 0]}},
        "boxes": {"class_type": "PreviewImage", "inputs": {"images": ["check", 3]}},
    }  # fmt: skip
    entry = server.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert entry["outputs"]["check"]["text"] == ["No toxic word was read."]
    count = len(entry["outputs"]["boxes"]["images"])  # ComfyUI 0.3 joins one alpha with the first picture of a batch alone
    assert count == HOSTILE[size]["batch_size"] or (alpha and count == 1)
    assert entry["outputs"]["measure"]["text"][0].count('reads ""') == 2 * count
