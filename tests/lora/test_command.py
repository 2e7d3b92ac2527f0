"""Training outside the graph, in processes of its own."""

import os
import socket
import subprocess
import sys

import pytest
from PIL import Image
from text_layers.demo.text_set import text_set
from text_layers.lora.files import read

pytestmark = pytest.mark.any_comfyui


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, (picture, caption) in enumerate(zip(*text_set(["CAFE", "HOTEL", "BOX"], 6, seed=1), strict=True)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption)
    return folder


def command(*arguments, processes=0):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", port] if processes else []
    python = [sys.executable, *launcher, "-m", "text_layers.lora.command", "--demo", "mmdit"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*python, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=environment)


def test_two_processes_give_the_result_of_one(pictures, tmp_path):
    """With the same batch, of all of them together. 1e-6: sums of float32 gradients in another order, at a learning rate of 1e-3."""
    found = {}
    for processes in (0, 2):
        out = tmp_path / f"{processes}.safetensors"
        settings = ("--steps", 4, "--batch", 6, "--learning-rate", 1e-3, "--seed", 3)
        done = command("--pictures", pictures, "--out", out, *settings, processes=processes)
        assert done.returncode == 0, done.stderr
        found[processes] = read(out)
    one, two = found[0].tensors, found[2].tensors
    assert one.keys() == two.keys() and all((one[key] - two[key]).abs().max() <= 1e-6 for key in one)
    assert max(float(w.abs().max()) for key, w in one.items() if "lora_B" in key) > 1e-3
    own = ("modelspec.hash_sha256", "modelspec.date", "modelspec.title")
    about, other = ({key: value for key, value in file.metadata.items() if key not in own} for file in found.values())
    assert about == other and about["ss_steps"] == "4"
    resumed = tmp_path / "resumed.safetensors"
    done = command(
        "--pictures", pictures, "--out", resumed, "--steps", 1, "--resume", tmp_path / "0.safetensors", "--checkpointing", "--bf16"
    )
    assert done.returncode == 0 and read(resumed).metadata["ss_steps"] == "5"


def test_errors_are_one_line(pictures, tmp_path):
    out = tmp_path / "out.safetensors"
    for arguments, message in (
        (("--pictures", tmp_path, "--out", out), "holds no pictures"),
        (("--pictures", pictures, "--out", tmp_path / "out.ckpt"), "written as .safetensors"),
    ):
        done = command(*arguments)
        assert done.returncode and message in done.stderr.splitlines()[-1], done.stderr
    out.write_bytes(b"mine")
    assert "exists already" in command("--pictures", pictures, "--out", out).stderr and out.read_bytes() == b"mine"
