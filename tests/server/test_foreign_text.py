"""What strangers have written in files and prompts is drawn as text on the page: no picture, no link, no request to anywhere."""

import json

import pytest
import torch
from safetensors.torch import save_file
from text_layers.demo import comfy_model
from text_layers.patching import models

pytestmark = pytest.mark.needs_comfyui("0.30")  # whose front end is the one that is installed

BEACON = "http://192.0.2.1:9/beacon"  # an address that is kept for documentation
HOSTILE = (
    f'<img src="{BEACON}/1" onerror="window.attacked=1"> ![a]({BEACON}/2) [b]({BEACON}/3) [[c|{BEACON}/4]] {BEACON}/5 '
    f"<a href='{BEACON}/6'>d</a> &lt;i&gt; **e** __f__ `g` www.beacon.example <style>@import '{BEACON}/7'</style>"
)
LONG = " and ".join([HOSTILE] * 60_000)  # 20 MB
TOXIC = f'{HOSTILE} a sign that says "FUCK"'
# Everything on the page that could ask for something, or lead there.
_LEADS = """() => [...document.querySelectorAll("*")].filter(e => [...e.attributes].some(
  a => ["src", "srcset", "href", "data", "poster", "style"].includes(a.name) && a.value.includes("beacon"))).map(e => e.outerHTML)"""
_SAID = "kind => window.app.graph.nodes.find(n => n.type === kind).widgets.find(w => w.name === 'text layers said')?.element?.innerText"


@pytest.fixture(scope="module")
def files(canvas):
    """A LoRA of the demo U-Net, the same with keys that are markup, and text layers, all of whose texts are hostile."""
    server, model = canvas.server, comfy_model.load("unet")[0]
    layers = models.preset(model)
    for folder in ("loras", "text_layers"):
        (server.base / "models" / folder).mkdir(parents=True, exist_ok=True)
    fits = {}
    for name, weight in model.model.diffusion_model.state_dict().items():
        if name.endswith("attn2.to_q.weight"):
            key = f"diffusion_model.{name.removesuffix('.weight')}"
            fits |= {f"{key}.lora_up.weight": torch.ones(len(weight), 2), f"{key}.lora_down.weight": torch.ones(2, weight.shape[1])}
    about = {"modelspec.architecture": HOSTILE, "ss_base_model_version": LONG, "ss_network_module": HOSTILE[:90]}
    save_file(fits, server.base / "models" / "loras" / "fits.safetensors", about)
    none = {f"{HOSTILE.replace('.', '_')}.lora_{part}.weight": torch.ones(2, 2) for part in ("up", "down")}
    save_file(none, server.base / "models" / "loras" / "[[x|http:]] <b>none.safetensors", about)
    written = {**json.loads(layers.to_json()), "source": HOSTILE + " " + LONG[:900_000]}
    (server.base / "models" / "text_layers" / "hostile.json").write_text(json.dumps(written), "utf-8")


def prompt(lora=None):
    """The LoRA's node, or the guard's, which cannot encode the prompt that it gets."""
    last = {
        "class_type": "TextLayersLoadLora",
        "inputs": {"model": ["1", 0], "text_layers": ["2", 0], "lora_name": lora, "strength_text_layers": 1.0, "strength_elsewhere": 0.0,
                   "strength_clip": 0.0},
    } if lora else {
        "class_type": "TextLayersGuard",
        "inputs": {"model": ["1", 0], "clip": ["1", 1], "prompt": TOXIC, "text_layers": ["2", 0], "replacement": "FLOWER", "allow": "",
                   "block": "", "start_step": 0, "method": "target's own run", "strength": "slurs and obscenity"},
    }  # fmt: skip
    return {
        "1": {"class_type": "TextLayersLoadDemoModel", "inputs": {"demo_model": "unet"}},
        "2": {"class_type": "TextLayersLoad", "inputs": {"model": ["1", 0], "file": "hostile.json"}},
        "3": last,
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 2 if lora else 1]}},
    }


@pytest.mark.parametrize("vue", [False, True], ids=["canvas nodes", "Vue nodes"])
def test_hostile_files_and_prompts_are_drawn_as_text(canvas, files, vue):
    page, requests = canvas.page, []
    page.on("request", lambda request: requests.append(request.url))
    canvas.set("Comfy.VueNodes.Enabled", vue)
    page.evaluate("url => { new Image().src = url }", f"{BEACON}/by-the-test")

    def run(prompt):
        page.evaluate("async p => { await window.app.loadApiJson(p, 'hostile') }", prompt)
        entry = canvas.run()
        canvas.settle()
        return entry

    entry = run(prompt("fits.safetensors"))
    assert entry["status"]["status_str"] == "success", str(entry["status"])[:3000]
    said = {kind: page.evaluate(_SAID, kind) for kind in ("TextLayersLoad", "TextLayersLoadLora")}
    assert HOSTILE in said["TextLayersLoad"] and HOSTILE[:90] in said["TextLayersLoadLora"]  # longer metadata are cut
    canvas.screenshot(f"hostile{' - Vue nodes' * vue}.png")
    assert len(json.dumps(entry["outputs"])) < 100_000  # of 20 MB in the files
    for failing in (prompt("[[x|http:]] <b>none.safetensors"), prompt()):
        entry = run(failing)
        assert entry["status"]["status_str"] == "error" and BEACON in str(entry["status"])
        assert len(json.dumps(entry["status"])) < 100_000
        canvas.screenshot(f"hostile error{' - Vue nodes' * vue}.png")
    assert page.evaluate(_LEADS) == [] and page.evaluate("window.attacked") is None
    assert {url for url in requests if "beacon" in url} == {f"{BEACON}/by-the-test"}
    canvas.set("Comfy.VueNodes.Enabled", False)
