"""What the nodes said, on the page: after a run, after one in which nothing had to run, and when the page is loaded again."""

import json
import uuid

import pytest
import torch
from safetensors.torch import save_file

pytestmark = pytest.mark.needs_comfyui("0.30")  # older ones have no message for what need not run

VUE = "Comfy.VueNodes.Enabled"
TOXIC = 'a red round sign on a blue wall that says "CRAP"'
LOADED = {"model": ["model", 0], "text_layers": ["choose", 0], "lora_name": "said.safetensors"}
READING = {"ocr": "RapidOCR"}
PROMPT = {
    "model": {"class_type": "TextLayersLoadDemoModel", "inputs": {"demo_model": "unet"}},
    "choose": {"class_type": "TextLayersChoose", "inputs": {"model": ["model", 0], "choice": "published for this model", "layers": ""}},
    "save": {"class_type": "TextLayersSave", "inputs": {"text_layers": ["choose", 0], "filename": "said"}},
    "replace": {"class_type": "TextLayersReplaceWords", "inputs": {"prompt": TOXIC, "replacements": "CRAP -> HOTEL", "clip": ["model", 1]}},
    "guard": {"class_type": "TextLayersGuard",
              "inputs": {"model": ["model", 0], "clip": ["model", 1], "prompt": TOXIC, "text_layers": ["choose", 0], "replacement": "LOVE",
                         "allow": "", "block": "", "start_step": 0, "method": "target's own run"}},
    "cleaned": {"class_type": "PreviewAny", "inputs": {"source": ["guard", 1]}},
    "load": {"class_type": "TextLayersLoadLora",
             "inputs": {**LOADED, "strength_text_layers": 1.0, "strength_elsewhere": 0.0, "strength_clip": 0.0}},
    "cut": {"class_type": "TextLayersCutLora", "inputs": LOADED},
    "file": {"class_type": "TextLayersSaveLora", "inputs": {"lora": ["cut", 0], "filename_prefix": "loras/said"}},
    "white": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 0xFFFFFF}},
    "check": {"class_type": "TextLayersCheck", "inputs": {"image": ["white", 0], "allow": "", "block": "", **READING}},
    "measure": {"class_type": "TextLayersMeasureEdit",
                "inputs": {"source": ["white", 0], "edited": ["white", 0], "wanted": "CAFE", **READING}},
}  # fmt: skip
_LOAD = "async w => { await window.app.loadGraphData(w, true, true, null) }"
# {the node's class: the text that can be seen on it}; each as high as a line at least, and on top of what lies there
_SEEN = """() => Object.fromEntries(window.app.graph.nodes.map((node) => {
  const element = node.widgets?.find((w) => w.name === "text layers said")?.element
  const box = element?.getBoundingClientRect()
  if (!box || box.height < 4) return [node.type, null]
  const on_top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
  return [node.type, on_top === element ? element.innerText.trim() : `hidden by ${on_top?.outerHTML.slice(0, 200)}`]
}).filter(([type, text]) => type.startsWith("TextLayers") && text !== null))"""


def load(canvas, prompt):
    """As a workflow of its own."""
    page = canvas.page
    page.evaluate("async p => { await window.app.loadApiJson(p, 'said') }", prompt)
    workflow = page.evaluate("JSON.parse(JSON.stringify(window.app.graph.serialize()))")
    workflow["id"] = str(uuid.uuid4())
    for n, node in enumerate(workflow["nodes"]):  # side by side, with room for what they say
        node["pos"] = [450 * (n % 6), 900 * (n // 6)]
    page.evaluate(_LOAD, workflow)
    page.wait_for_function("id => window.app.graph.id === id", arg=workflow["id"])
    return workflow


def seen(canvas, name):
    canvas.screenshot(name)
    return canvas.page.evaluate(_SEEN)


def reload(canvas):
    canvas.open()
    canvas.page.wait_for_function("n => window.app.graph.nodes.length === n", arg=len(PROMPT), timeout=30_000)
    canvas.settle()


def test_what_nodes_said_is_seen(canvas):
    server = canvas.server
    (server.base / "models" / "loras").mkdir(parents=True, exist_ok=True)
    key = "diffusion_model.output_blocks.1.1.transformer_blocks.0.attn2.to_q"
    lora = {f"{key}.lora_up.weight": torch.ones(128, 2), f"{key}.lora_down.weight": torch.ones(2, 128)}
    save_file(lora, server.base / "models" / "loras" / "said.safetensors")
    canvas.page.evaluate("window.app.refreshComboInNodes()")  # the page was there before the file
    load(canvas, PROMPT)

    entry = canvas.run()
    assert entry["status"]["status_str"] == "success", str(entry["status"])[:3000]
    said = {
        PROMPT[n]["class_type"]: output["text"][0].strip() for n, output in entry["outputs"].items() if n != "cleaned" and "text" in output
    }
    assert len(said) == 9 and "CRAP" in said["TextLayersGuard"] and said["TextLayersCheck"] == "No toxic word was read."
    canvas.settle()
    assert seen(canvas, "said.png") == said

    try:
        canvas.set(VUE, True)
        canvas.settle()
        assert seen(canvas, "said - Vue nodes.png") == said
        reload(canvas)
        assert seen(canvas, "said - loaded again, Vue nodes.png") == said
        assert canvas.page.locator(".text-layers-map [role='option']").count() == 9  # the run's map, which no file had
        canvas.set(VUE, False)
        assert seen(canvas, "said - loaded again.png") == said

        canvas.page.evaluate("sessionStorage.removeItem('text layers said')")
        reload(canvas)
        assert canvas.page.evaluate(_SEEN) == {}
        entry = canvas.run()
        need_not_run = {n for kind, data in entry["status"]["messages"] if kind == "execution_cached" for n in data["nodes"]}
        assert {"guard", "check", "measure", "replace", "load", "cut", "choose"} <= need_not_run
        canvas.settle()
        again = seen(canvas, "said - nothing need run.png")
        assert again == said | {kind: text for kind, text in again.items() if kind in ("TextLayersSave", "TextLayersSaveLora")}
        canvas.set(VUE, True)
        canvas.settle()
        assert seen(canvas, "said - nothing need run, Vue nodes.png") == again
    finally:
        canvas.set(VUE, False)


def test_why_a_node_failed_is_seen_on_it_until_it_runs_again(canvas):
    page = canvas.page
    wrong = {"choose": {**PROMPT["choose"], "inputs": {**PROMPT["choose"]["inputs"], "choice": "written below", "layers": "77"}}}
    load(canvas, {"model": PROMPT["model"], "choose": wrong["choose"]})
    try:
        for vue in (False, True):
            canvas.set(VUE, vue)
            entry = canvas.run()
            (message,) = [data["exception_message"].strip() for kind, data in entry["status"]["messages"] if kind == "execution_error"]
            page.wait_for_timeout(1500)
            assert "There is no text layer 77" in message and seen(canvas, f"failed - {vue}.png") == {"TextLayersChoose": message}
        page.evaluate("window.app.graph.nodes.find(n => n.type === 'TextLayersChoose').widgets.find(w => w.name === 'layers').value = '5'")
        assert canvas.run()["status"]["status_str"] == "success"
        page.wait_for_timeout(1500)
        assert seen(canvas, "mended.png")["TextLayersChoose"].startswith("1 of 9 text layers")
    finally:
        canvas.set(VUE, False)


def test_a_missing_model_is_told_where_it_goes(canvas):
    """A prompt that ComfyUI does not take."""
    missing = {"class_type": "TextLayersLoadDeepFloydIF",
               "inputs": {"unet": "IF-I-XL-v1.0", "text_encoder": "none", "dynamic_thresholding": True}}  # fmt: skip
    layers = {"class_type": "TextLayersChoose", "inputs": {**PROMPT["choose"]["inputs"], "model": ["if", 0]}}
    load(canvas, {"if": missing, "layers": layers})
    canvas.page.evaluate("window.app.queuePrompt(0).catch(() => {})")
    canvas.page.wait_for_timeout(2000)
    said = seen(canvas, "missing.png")["TextLayersLoadDeepFloydIF"]
    assert said.startswith("There is no IF-I-XL-v1.0 in models/diffusers or models/diffusion_models. Put")


def test_the_about_page_names_the_packs_version(canvas):
    from text_layers.testing.comfy_server import ROOT

    version = next(line for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines() if line.startswith("version = "))
    canvas.page.evaluate("window.app.extensionManager.command.execute('Comfy.ShowSettingsDialog')")
    dialog = canvas.page.get_by_role("dialog")
    dialog.get_by_text("About", exact=True).first.click()
    number = version.split('"')[1]
    dialog.get_by_text(f"Text Layers {number}", exact=True).wait_for()
    canvas.page.screenshot(path=str(canvas.pictures / "about.png"))
    canvas.page.keyboard.press("Escape")


def test_another_workflow_and_other_values_show_nothing_of_it(canvas):
    """A text belongs to what ran."""
    page = canvas.page
    workflow = load(canvas, {n: PROMPT[n] for n in ("model", "choose")})
    canvas.run()
    canvas.settle()

    def shown():
        canvas.settle()
        return page.evaluate("window.app.graph.nodes.some(n => n.widgets?.some(w => w.name === 'text layers said'))")

    page.evaluate(_LOAD, workflow)
    assert shown()
    page.evaluate(_LOAD, {**workflow, "id": str(uuid.uuid4())})
    assert not shown()
    (choose,) = (node for node in workflow["nodes"] if node["type"] == "TextLayersChoose")
    choose["widgets_values"][:2] = ["written below", "3"]
    page.evaluate(_LOAD, workflow)
    assert not shown()


# Another choice before what the node said has come, as by a hand while it runs.
_CHANGE = """() => {
  const node = window.app.graph.nodes.find((node) => node.type === "TextLayersChoose")
  const first = node.onExecuted
  node.onExecuted = function () {
    node.widgets[0].value = "written below"
    node.widgets[1].value = "3"
    first.apply(this, arguments)
  }
}"""


def test_a_text_belongs_to_the_values_that_were_queued(canvas):
    page = canvas.page
    workflow = load(canvas, {n: PROMPT[n] for n in ("model", "choose")})
    page.evaluate(_CHANGE)
    canvas.run()
    canvas.settle()
    changed = page.evaluate("JSON.parse(JSON.stringify(window.app.graph.serialize()))")
    (choose,) = (node for node in changed["nodes"] if node["type"] == "TextLayersChoose")
    assert choose["widgets_values"][:2] == ["written below", "3"]
    for loaded, is_shown in ((changed, False), (workflow, True)):
        page.evaluate(_LOAD, loaded)
        canvas.settle()
        assert page.evaluate("window.app.graph.nodes.some(n => n.widgets?.some(w => w.name === 'text layers said'))") == is_shown


# Another workflow is opened when the open one's prompt is made, before ComfyUI gets it.
_QUEUE_AND_OPEN = """async other => {
  const { api } = window.app
  const { fetchApi } = api
  api.fetchApi = async function (path, ...more) {
    if (path === "/prompt") {
      api.fetchApi = fetchApi
      await window.app.loadGraphData(other, true, true, null)
    }
    return fetchApi.call(this, path, ...more)
  }
  await window.app.queuePrompt(0)
}"""
_SAY = "text => window.app.api.dispatchEvent(new CustomEvent('text_layers.said', { detail: { node: 'choose', text } }))"
# What the open workflow's node shows, how many layers its map has, and how many texts are kept of the workflow.
_HAS = """() => {
  const node = window.app.graph.nodes.find((node) => node.type === "TextLayersChoose")
  const said = node.widgets.find((widget) => widget.name === "text layers said")?.said.text ?? ""
  const kept = JSON.parse(sessionStorage.getItem("text layers said") ?? "[]").filter(({ at }) => at.startsWith(window.app.graph.id))
  return [said, node.properties["text layers map"]?.names.length ?? 0, kept.length]
}"""
PUBLISHED, WRITTEN, FAILS, REFUSED = ("published for this model", ""), ("written below", "3"), ("written below", "77"), ("no choice", "")


def with_choice(workflow, choice, id):
    workflow = json.loads(json.dumps({**workflow, "id": id}))
    (node,) = (node for node in workflow["nodes"] if node["type"] == "TextLayersChoose")
    node["widgets_values"][:2] = choice
    return workflow


def test_a_run_says_nothing_on_the_same_node_of_another_workflow(canvas):
    """The front end calls the node that has its number in the workflow that is open."""
    page = canvas.page
    workflow = load(canvas, {n: PROMPT[n] for n in ("model", "choose")})
    for queued, choice, is_a_copy in (
        (PUBLISHED, PUBLISHED, False),
        (PUBLISHED, WRITTEN, True),
        (PUBLISHED, PUBLISHED, True),
        (FAILS, PUBLISHED, False),
        (REFUSED, PUBLISHED, False),
    ):
        id, another = str(uuid.uuid4()), str(uuid.uuid4())
        page.evaluate(_LOAD, with_choice(workflow, queued, id))
        other = with_choice(workflow, choice, id if is_a_copy else another)
        if queued is REFUSED:
            with page.expect_response("**/prompt") as answer:
                page.evaluate(_QUEUE_AND_OPEN, other)
            assert answer.value.status == 400
        else:
            with canvas.queued() as found:
                page.evaluate(_QUEUE_AND_OPEN, other)
            assert found[0]["status"]["status_str"] == ("error" if queued is FAILS else "success")
        canvas.settle()
        page.keyboard.press("Escape")  # the dialog of an error
        assert page.evaluate("window.app.graph.id") == other["id"]
        said, *has = page.evaluate(_HAS)
        page.evaluate(_SAY, "2 of about 9 model calls")
        says, *_ = page.evaluate(_HAS)
        if is_a_copy and queued == choice:  # what is kept is the text and the map
            assert said.startswith("3 of 9 text layers") and has == [9, 2] and says == "2 of about 9 model calls"
        else:
            assert (said, has, says) == ("", [0, 0], ""), (queued, choice, is_a_copy)
