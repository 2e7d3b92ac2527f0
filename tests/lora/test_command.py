"""Training outside the graph, in processes of its own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from text_layers.benchmarks.lora.kills import KINDS
from text_layers.benchmarks.record import kept
from text_layers.demo.text_set import text_set
from text_layers.lora.command import main
from text_layers.lora.files import read

pytestmark = pytest.mark.any_comfyui

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, (picture, caption) in enumerate(zip(*text_set(["CAFE", "HOTEL", "BOX"], 6, seed=1), strict=True)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption)
    return folder


def here(monkeypatch, *arguments):
    """In this process, which has loaded ComfyUI already."""
    monkeypatch.setattr(sys, "argv", ["command", "--demo", "mmdit", *map(str, arguments)])
    main()


def two_processes(*arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port]
    python = [*launcher, "-m", "text_layers.lora.command", "--demo", "mmdit"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*python, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.long
def test_two_processes_give_the_result_of_one(pictures, tmp_path, monkeypatch):
    """With the same batch, of both together. 1e-6: sums of float32 gradients in another order, at a learning rate of 1e-3."""
    outs = [tmp_path / f"{count}.safetensors" for count in (1, 2)]
    settings = ("--pictures", pictures, "--steps", 4, "--batch", 6, "--learning-rate", 1e-3, "--seed", 3)
    here(monkeypatch, *settings, "--out", outs[0])
    done = two_processes(*settings, "--out", outs[1])
    assert done.returncode == 0, done.stderr
    files = [read(out) for out in outs]
    one, two = (file.tensors for file in files)
    assert one.keys() == two.keys() and all((one[key] - two[key]).abs().max() <= 1e-6 for key in one)
    assert max(float(w.abs().max()) for key, w in one.items() if "lora_B" in key) > 1e-3
    own = ("modelspec.hash_sha256", "modelspec.date", "modelspec.title")
    about, other = ({key: value for key, value in file.metadata.items() if key not in own} for file in files)
    assert about == other and about["ss_steps"] == "4"
    resumed = tmp_path / "resumed.safetensors"
    here(monkeypatch, "--pictures", pictures, "--out", resumed, "--steps", 1, "--resume", outs[0], "--checkpointing", "--bf16")
    assert read(resumed).metadata["ss_steps"] == "5"


def test_errors_are_one_line(pictures, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as said:
        here(monkeypatch, "--pictures", tmp_path, "--out", tmp_path / "out.safetensors")
    assert "holds no pictures" in str(said.value) and "\n" not in str(said.value)
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    for name, message in (("out.ckpt", "written as .safetensors"), ("mine.safetensors", "exists already")):
        with pytest.raises(SystemExit):
            here(monkeypatch, "--pictures", pictures, "--out", tmp_path / name)
        assert message in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "mine.safetensors").read_bytes() == b"mine"


def test_what_was_measured_holds():
    """60 kills at random moments: nothing older than the last save was lost, and each training ended as one that nobody stopped."""
    found = kept("lora_kills")
    assert len(found["kills"]) >= 50 and found["summary"]["unexpected"] == 0 and found["summary"]["in_the_middle"] >= 30
    assert all(row["lost"] <= found["every"] for row in found["kills"]) and {row["kind"] for row in found["kills"]} == set(KINDS)
    assert all(row["lost"] == 0 for row in found["kills"] if row["kind"] != "SIGKILL")
    assert found["trainings"] and all(row["finished"] and row["equal"] for row in found["trainings"])


@pytest.mark.long
def test_killed_trainings_go_on(tmp_path):
    """A kill of each kind, at random moments of the real command: what comes out is what comes out of a training that nobody stopped."""
    out = tmp_path / "kills.json"
    arguments = ["--kills", "4", "--steps", "8", "--every", "2", "--out", str(out)]
    python = [sys.executable, "-W", "ignore", str(ROOT / "dev.py"), "--inside", "benchmarks.lora.kills"]
    done = subprocess.run([*python, *arguments], capture_output=True, text=True, timeout=300)
    if "could not be mounted" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert all(row["lost"] <= 2 and "said" not in row for row in found["kills"]) and len(found["kills"]) == 4
    assert found["trainings"] and all(row["finished"] and row["equal"] for row in found["trainings"])
