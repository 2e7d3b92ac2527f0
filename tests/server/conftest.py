"""One real ComfyUI server for all tests of this folder, with the pack installed under another folder name."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

import comfyui_version
import pytest
import torch

ROOT = Path(__file__).parents[2]


class Server:
    def __init__(self, port, base):
        self.url = f"http://127.0.0.1:{port}"
        self.base = base

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.get(path))

    def post(self, path, value):
        request = urllib.request.Request(self.url + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def run(self, prompt, seconds=300):
        """Queues an API prompt and returns its history entry when it is finished."""
        number = self.post("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})["prompt_id"]
        return self.wait(number, seconds)

    def wait(self, number, seconds=300):
        end = time.time() + seconds
        while time.time() < end:
            history = self.json(f"/history/{number}")
            if number in history and history[number]["status"]["completed"] is not None:
                return history[number]
            time.sleep(0.2)
        raise TimeoutError(f"prompt {number} is not finished after {seconds} s")

    def pictures(self, entry):
        """{node id: bytes of its first PNG} of a history entry."""
        found = {}
        for node, output in entry["outputs"].items():
            for image in output.get("images", [])[:1]:
                query = f"/view?filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"
                found[node] = self.get(query.replace(" ", "%20"))
        return found

    def api_prompt(self, workflow):
        """The API form of a workflow file: links become [node, slot], widgets get their names from object_info."""
        info = self.json("/object_info")
        demo = any(node["type"] == "TextLayersLoadDemoModel" for node in workflow["nodes"])
        links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
        prompt = {}
        for node in workflow["nodes"]:
            if node["type"] == "MarkdownNote":
                continue
            inputs = {i["name"]: links[i["link"]] for i in node["inputs"] if i["link"] is not None}
            without_widget = {i["name"] for i in node["inputs"] if "widget" not in i}
            values = list(node["widgets_values"])
            declared = info[node["type"]]["input"]
            for name, spec in {**declared.get("required", {}), **declared.get("optional", {})}.items():
                typed = isinstance(spec[0], list) or spec[0] in ("INT", "FLOAT", "STRING", "COMBO", "BOOLEAN")
                if typed and name not in without_widget:
                    inputs.setdefault(name, values.pop(0))
                    if name in ("seed", "noise_seed"):
                        values.pop(0)  # what happens to the seed after queueing
            if node["type"] == "EmptyLatentImage" and demo and comfyui_version.__version__.startswith("0.3."):
                # As the help page says: ComfyUI 0.3 divides by eight whatever the model, and the demo models' latents are two pixels.
                inputs |= {side: inputs[side] * 4 for side in ("width", "height")}
            prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
        return prompt


@contextmanager
def running(python, comfyui, base, *arguments):
    """A Server, from its first answer on. It runs in the folder base and writes server.log there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = base / "server.log"
    command = [str(python), str(comfyui / "main.py"), "--port", str(port), "--disable-auto-launch", *arguments]
    command += [] if torch.cuda.is_available() else ["--cpu"]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COMFYUI_PATH")}
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=base)
    server = Server(port, base)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                pytest.fail(f"ComfyUI stopped:\n{log.read_text()[-4000:]}")
            try:
                server.get("/system_stats")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        else:
            pytest.fail(f"ComfyUI did not start in four minutes:\n{log.read_text()[-4000:]}")
        yield server
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def server(tmp_path_factory, comfyui_path):
    base = tmp_path_factory.mktemp("comfyui")
    (base / "custom_nodes").mkdir()
    (base / "user" / "default").mkdir(parents=True)
    # Without this, ComfyUI's template browser covers the canvas at the first start.
    (base / "user" / "default" / "comfy.settings.json").write_text('{"Comfy.TutorialCompleted": true}')
    (base / "custom_nodes" / "renamed-by-manager").symlink_to(ROOT, target_is_directory=True)
    database = ["--database-url", f"sqlite:///{base / 'comfyui.db'}"]
    with running(sys.executable, comfyui_path, base, "--base-directory", str(base), *database) as server:
        yield server


@pytest.fixture(scope="session")
def browser_path():
    """Debian's Chromium or any Chrome; without one the browser tests cannot run, which in CI is a failure."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    message = "NO BROWSER FOUND: the browser tests did not run. Install chromium."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
