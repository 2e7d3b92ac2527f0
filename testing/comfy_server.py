"""A real ComfyUI server with the pack installed, driven over its API.

running    a context in which one runs, with a base folder of its own
started    the same with a Python, a folder and arguments of one's choice
Server     asks it, queues prompts, brings their pictures
"""

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import comfyui_version
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
INPUTS, OUTPUTS = -10, -20  # the numbers of a subgraph's own ends
FOLDER = "renamed-by-manager"  # the pack's, below custom_nodes: another name than that of its checkout


class Server:
    """process: a subprocess.Popen; log: the file with what it prints; base: its base folder."""

    def __init__(self, port, base, process, log):
        self.url = f"http://127.0.0.1:{port}"
        self.base, self.process, self.log = base, process, log

    @property
    def alive(self):
        return self.process.poll() is None

    @cached_property
    def nodes(self):
        """object_info, as it was when it was first asked for, which takes about a second: of choices, files may have come since."""
        return self.json("/object_info")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.get(path))

    def post(self, path, value):
        return json.loads(self.send(path, json.dumps(value).encode()) or "null")

    def send(self, path, data):
        """data: bytes, which need not be JSON. Raises urllib.error.HTTPError for any status but 200."""
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def queue(self, prompt):
        """Queues an API prompt and returns its number."""
        return self.post("/prompt", {"prompt": prompt, "client_id": uuid.uuid4().hex})["prompt_id"]

    def run(self, prompt, seconds=300):
        """Queues an API prompt and returns its history entry when it is finished."""
        return self.wait(self.queue(prompt), seconds)

    def wait(self, number, seconds=300, pause=0.05):
        """pause: seconds between two questions. Raises TimeoutError."""
        end = time.time() + seconds
        while time.time() < end:
            history = self.json(f"/history/{number}")
            if number in history and history[number]["status"]["completed"] is not None:
                return history[number]
            time.sleep(pause)
        raise TimeoutError(f"prompt {number} is not finished after {seconds} s")

    def forget(self):
        """Until nothing is kept of what was computed. ComfyUI looks for this wish after each prompt: one that tells nothing follows."""
        self.post("/free", {"unload_models": True, "free_memory": True})
        black = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
        self.run({"1": black, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})

    def wait_until_it_runs(self, number, seconds=60):
        end = time.time() + seconds
        while number not in [job[1] for job in self.json("/queue")["queue_running"]]:
            if time.time() > end:
                raise TimeoutError(f"prompt {number} has not begun after {seconds} s")
            time.sleep(0.02)

    def pictures(self, entry):
        """{node id: bytes of its first PNG} of a history entry."""
        return {node: self._picture(output["images"][0]) for node, output in entry["outputs"].items() if output.get("images")}

    def _picture(self, image):
        query = f"/view?filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"
        return self.get(query.replace(" ", "%20"))

    def images(self, entry):
        """The same as PIL's pictures."""
        return {node: Image.open(io.BytesIO(data)) for node, data in self.pictures(entry).items()}

    def all_images(self, entry, node):
        """PIL's pictures of one node."""
        return [Image.open(io.BytesIO(self._picture(image))) for image in entry["outputs"][node]["images"]]

    def pixels(self, entry):
        """{node id: bytes} of their pixels, without what else is in the files."""
        return {node: image.tobytes() for node, image in self.images(entry).items()}

    def api_prompt(self, workflow):
        """The API form of a workflow file: links become [node, slot], widgets get their names from object_info."""
        demo = any(node["type"] == "TextLayersLoadDemoModel" for node in workflow["nodes"])
        nodes, links = flattened(workflow)
        prompt = {}
        for node in nodes:
            # The oldest ComfyUI has no node that compares pictures.
            if node["type"] == "MarkdownNote" or (node["type"] == "ImageCompare" and node["type"] not in self.nodes):
                continue
            linked = {i["name"]: links[i["link"]] for i in node["inputs"] if i["link"] is not None}
            inputs = linked | node.get("values", {})
            without_widget = {i["name"] for i in node["inputs"] if "widget" not in i}
            values = list(node["widgets_values"])
            declared = self.nodes[node["type"]]["input"]
            for name, spec in {**declared.get("required", {}), **declared.get("optional", {})}.items():
                typed = isinstance(spec[0], list) or spec[0] in ("INT", "FLOAT", "STRING", "COMBO", "BOOLEAN")
                about = spec[1] if len(spec) > 1 else {}
                if typed and name not in without_widget:
                    if not values and name in declared.get("optional", {}):
                        continue  # newer than the workflow: the front end takes the node's default
                    inputs.setdefault(name, values.pop(0))
                    if about.get("control_after_generate"):
                        values.pop(0)  # what happens to the number after queueing
                elif about.get("socketless"):
                    inputs[name] = ""  # a widget that only shows
            if node["type"] == "EmptyLatentImage" and demo and comfyui_version.__version__.startswith("0.3."):
                # As the help page says: ComfyUI 0.3 divides by eight whatever the model, and the demo models' latents are two pixels.
                inputs |= {side: inputs[side] * 4 for side in ("width", "height")}
            prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
        return prompt


def flattened(workflow):
    """(nodes, {link: [node, slot]}) of a workflow file, with what is inside of its subgraphs in their place, as the front end queues it:
    "3:5" is node 5 in the subgraph that node 3 is. Those of one level; `values` of a node are its subgraph's widgets."""
    graphs = {one["id"]: one for one in workflow.get("definitions", {}).get("subgraphs", [])}
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    nodes = []
    for host in workflow["nodes"]:
        graph = graphs.get(host["type"])
        if graph is None:
            nodes.append(host)
            continue
        widgets = [slot["name"] for slot in host["inputs"] if "widget" in slot]
        values = dict(zip(widgets, host["widgets_values"], strict=True))
        outer = {slot["name"]: slot["link"] for slot in host["inputs"]}
        inner = {link["id"]: link for link in graph["links"]}
        for link in inner.values():
            if link["target_id"] == OUTPUTS:
                for number, at in links.items():
                    if at == [str(host["id"]), link["target_slot"]]:
                        links[number] = [f"{host['id']}:{link['origin_id']}", link["origin_slot"]]
            else:
                links[host["id"], link["id"]] = [f"{host['id']}:{link['origin_id']}", link["origin_slot"]]
        for node in graph["nodes"]:
            inputs, given = [], {}
            for slot in node["inputs"]:
                link = slot["link"] and inner[slot["link"]]
                if link and link["origin_id"] == INPUTS:
                    name = graph["inputs"][link["origin_slot"]]["name"]
                    if outer.get(name) is None and name in values:
                        given[slot["name"]] = values[name]
                    inputs.append({**slot, "link": outer.get(name)})
                else:
                    inputs.append({**slot, "link": link and (host["id"], link["id"])})
            nodes.append({**node, "id": f"{host['id']}:{node['id']}", "inputs": inputs, "values": given})
    return nodes, links


@contextmanager
def running(comfyui, base, *arguments):
    """A Server with the pack. comfyui: the folder of a ComfyUI; base: an empty folder, in which it finds models and writes everything;
    arguments: more of ComfyUI's own."""
    (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
    (base / "user" / "default").mkdir(parents=True, exist_ok=True)
    # Without this, ComfyUI's template browser covers the canvas at the first start.
    (base / "user" / "default" / "comfy.settings.json").write_text('{"Comfy.TutorialCompleted": true}')
    link = base / "custom_nodes" / FOLDER
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
    database = ["--database-url", f"sqlite:///{base / 'comfyui.db'}"]
    with started(sys.executable, comfyui, base, "--base-directory", str(base), *database, *arguments) as server:
        yield server


@contextmanager
def started(python, comfyui, folder, *arguments):
    """A Server, from its first answer on. It runs in `folder` and writes server.log there.

    Raises RuntimeError with the end of its log when it does not start in nine minutes: beside other work it can take some.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    command = [str(python), str(Path(comfyui) / "main.py"), "--port", str(port), "--disable-auto-launch", *arguments]
    command += [] if torch.cuda.is_available() else ["--cpu"]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COMFYUI_PATH")}
    with log.open("a") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=folder)
    try:
        server = Server(port, folder, process, log)
        _wait_for(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(server):
    end = time.time() + 540
    while time.time() < end:
        if not server.alive:
            raise RuntimeError(f"ComfyUI stopped:\n{server.log.read_text()[-4000:]}")
        try:
            server.get("/system_stats")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"ComfyUI did not start in nine minutes:\n{server.log.read_text()[-4000:]}")
