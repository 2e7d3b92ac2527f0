"""The command's answer is the node's, and each goes on where the other one was."""

import inspect
import json
import sys
from types import SimpleNamespace

import folder_paths
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.taesd.taesd import TAESD
from safetensors.torch import save_file
from text_layers.demo import comfy_model, pictures, signs
from text_layers.localization import command as command_module
from text_layers.localization import storage
from text_layers.localization.cells import CellStore
from text_layers.localization.command import main
from text_layers.localization.record import KEYS
from text_layers.nodes.localize import LocalizeTextLayers
from text_layers.patching import models
from text_layers.patching.comfy import file_of
from text_layers.patching.messages import plain
from text_layers.patching.text_layers import TextLayers
from text_layers.testing.tiny_models.model import fill

import nodes as core

pytestmark = pytest.mark.any_comfyui

DEMO = {"template": 'a white square sign on a blue wall that says "{word}"', "steps": pictures.STEPS, "cfg": pictures.CFG, "seed": 0}
WORDS = "CAFE, HOTEL\nOPEN, SHUT\nNORTH, SOUTH\nBREAD, MILK\nRIVER, STONE\n"


@pytest.fixture
def user(tmp_path):
    before = folder_paths.get_user_directory()
    folder_paths.set_user_directory(str(tmp_path / "user"))
    yield tmp_path
    folder_paths.set_user_directory(before)


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    main()


def node(model, clip, vae, latent, **given):
    """(TEXT_LAYERS, report) of the node with its own defaults."""
    inputs = {one.id: one.default for one in LocalizeTextLayers.define_schema().inputs if getattr(one, "default", None) is not None}
    inputs |= {"model": model, "clip": clip, "vae": vae, "latent_image": latent, "strategy": "gradients", "ocr": "RapidOCR"}
    inputs |= {"sampler_name": "euler", "scheduler": "simple", "word_pairs": WORDS} | given
    inputs = {name: value for name, value in inputs.items() if name in inspect.signature(LocalizeTextLayers.execute).parameters}
    found = LocalizeTextLayers.execute(**inputs)
    return found.result[0], found.result[3]


def without_cost(report):
    """The last line counts calls and seconds, of which whoever goes on needs fewer."""
    return [line for line in report.splitlines() if "model calls" not in line]


def cells():
    (folder,) = storage.folder().iterdir()
    return len(CellStore(folder))


def test_the_node_s_answer_on_a_demo_model(user, monkeypatch):
    (user / "pairs.csv").write_text("source,target\n" + WORDS)
    given = ["--demo", "mmdit", "--ocr", "RapidOCR", "--pairs", user / "pairs.csv", "--template", DEMO["template"], "--seed", 0]
    given += ["--steps", DEMO["steps"], "--cfg", DEMO["cfg"]]
    command(monkeypatch, *given, "--out", user / "found.json")
    done = json.loads((user / "found.json").read_text())
    known, about = cells(), done["localization"]
    model, clip, vae = comfy_model.load("mmdit")
    latent = {"samples": torch.zeros(1, 12, signs.HEIGHT // 2, signs.WIDTH // 2)}
    layers, report = node(model, clip, vae, latent, **DEMO)
    assert layers.names == TextLayers.from_json(json.dumps(done)).names == tuple(about["of"][layer] for layer in about["layers"])
    assert models.check(model, TextLayers.from_json(json.dumps(done))).scores == layers.scores
    assert without_cost(report) == without_cost(about["report"])
    assert about["model_calls"] > 0 and "gradients: 0 model calls" in report, "the node has drawn nothing again"
    assert cells() == known + 4 * 4, "but for the contact sheet"
    assert set(layers.record) == set(KEYS) and layers.record == TextLayers.from_json(json.dumps(done)).record
    assert layers.record["model_calls"] == about["model_calls"], "of the search, whoever has drawn it"
    assert layers.record["depends_on"] == about["depends_on"] and layers.record["pairs"][0] == ["CAFE", "HOTEL"]
    with pytest.raises(SystemExit):
        command(monkeypatch, *given, "--out", user / "found.json")  # never over another
    command(monkeypatch, *given, "--out", user / "again.json")
    again = json.loads((user / "again.json").read_text())["localization"]
    assert again["model_calls"] == 0 and again["layers"] == about["layers"] and again["depends_on"] == about["depends_on"]


def tiny_files(folder):
    """A U-Net of Stable Diffusion 1's kind with one attention, a random CLIP and the small VAE, in a file each."""
    import comfy.ops
    import comfy.sd1_clip

    config = {"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [1], "channel_mult": [1],
              "transformer_depth": [1], "transformer_depth_output": [1, 1], "transformer_depth_middle": 1, "context_dim": 768,
              "num_heads": 8, "use_spatial_transformer": True, "legacy": False}  # fmt: skip
    unet = UNetModel(**config, dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    text, vae = comfy.sd1_clip.SDClipModel(dtype=torch.float16).transformer, TAESD(latent_channels=4)
    for name, module in (("unet", unet), ("clip", text), ("vae", vae)):
        fill(module)
        state = {key: w.contiguous() for key, w in module.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors")


def test_the_node_s_answer_on_separate_files(user, monkeypatch):
    """Random weights draw no word, which both say, and find the same cells on the way."""
    tiny_files(user)
    for kind, file in (("diffusion_models", "unet"), ("text_encoders", "clip"), ("vae", "vae")):
        monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, ([str(user)], {".safetensors"}))
        assert f"{file}.safetensors" in folder_paths.get_filename_list(kind)
    (model,) = core.UNETLoader().load_unet("unet.safetensors", "default")
    (clip,) = core.CLIPLoader().load_clip("clip.safetensors", "stable_diffusion")
    (vae,) = core.VAELoader().load_vae("vae.safetensors")
    (latent,) = core.EmptyLatentImage().generate(64, 64, 1)
    words = "\n".join(WORDS.splitlines()[:2])
    if hasattr(model, "cached_patcher_init"):
        assert file_of(model) == "unet.safetensors"
    with pytest.raises(ValueError) as said:
        node(model, clip, vae, latent, word_pairs=words, steps=2, cfg=1.0)
    known = cells()
    (user / "pairs.csv").write_text(words)
    files = ["--diffusion-model", user / "unet.safetensors", "--clip", user / "clip.safetensors", "--vae", user / "vae.safetensors"]
    given = ["--size", 64, 64, "--pairs", user / "pairs.csv", "--ocr", "RapidOCR", "--steps", 2, "--cfg", 1, "--out", user / "found.json"]
    with pytest.raises(SystemExit) as also:
        command(monkeypatch, *files, *given)
    assert plain(said.value) in str(also.value) and not (user / "found.json").exists()
    assert known > 4 and cells() == known


def test_what_the_node_notices_is_said(user, monkeypatch, capsys):
    """Before the search, and in its report."""
    model, clip, vae = comfy_model.load("mmdit")
    model.model.diffusion_model.params = SimpleNamespace(guidance_embed=True)  # as Flux dev
    monkeypatch.setattr(command_module, "load", lambda files: (model, clip, vae))
    (user / "pairs.csv").write_text("CAFE, HOTEL\nOPEN, SHUT\n")
    given = ["--demo", "mmdit", "--ocr", "RapidOCR", "--pairs", user / "pairs.csv", "--template", DEMO["template"], "--steps", 2]
    command(monkeypatch, *given, "--proof", "search and test", "--out", user / "found.json")
    said = capsys.readouterr()
    report = json.loads((user / "found.json").read_text())["localization"]["report"]
    for place in (said.out + said.err, report):
        assert "is made for cfg 1; with 7 every picture takes two calls" in place
        assert "2 word pairs are too few for a sure answer" in place


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--demo", "mmdit", "--strategy", "best"], "There is no strategy best. There are: gradients, "),
        (["--demo", "mmdit", "--template", "a sign"], "does not say where the word goes"),
        (["--demo", "mmdit", "--size", 63, 64], "multiples of 2 pixels"),
        (["--demo", "mmdit", "--steps", 1], "--steps and --batch are 2 or more"),
        (["--checkpoint", "nowhere.safetensors", "--size", 64, 64], "There is no file"),
    ],
)
def test_what_is_wrong_is_said(user, monkeypatch, given, says):
    with pytest.raises(SystemExit, match=says):
        command(monkeypatch, *given, "--ocr", "RapidOCR", "--out", user / "found.json")


@pytest.mark.parametrize("given", [["--checkpoint", "a.safetensors"], ["--demo", "unet", "--gpus", 1], ["--pairs", "a.csv"]])
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(user, monkeypatch, given, capsys):
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, *given, "--out", user / "found.json")
    assert ended.value.code == 2 and "error: " in capsys.readouterr().err
