"""The oldest supported ComfyUI with the front end that it asks for, in a real browser."""

import json
from importlib.metadata import version
from pathlib import Path

import comfyui_version
import pytest

from .hand import open_template, template_card

pytestmark = pytest.mark.skipif(not comfyui_version.__version__.startswith("0.3."), reason="the newest has all others")

WORKFLOWS = Path(__file__).parents[2] / "workflows"
EDIT = WORKFLOWS / "Edit text, change a word - demo U-Net.json"
PATIENT = 120_000  # milliseconds: this front end shows all of ComfyUI's own templates first, which takes long without a GPU
# As the help page says: this ComfyUI divides a latent's sides by eight whatever the model, and the demo models' latents are two pixels.
FOUR_TIMES = """() => {
  for (const node of window.app.graph.nodes.filter(n => n.type === "EmptyLatentImage"))
    for (const widget of node.widgets.filter(w => ["width", "height"].includes(w.name))) widget.value *= 4
}"""


def test_it_is_that_front_end(canvas):
    lines = (Path(comfyui_version.__file__).parent / "requirements.txt").read_text("utf-8").splitlines()
    assert f"comfyui-frontend-package=={version('comfyui-frontend-package')}" in lines
    assert canvas.page.evaluate("window.__COMFYUI_FRONTEND_VERSION__") == version("comfyui-frontend-package")


@pytest.fixture
def edit(tmp_path):
    """As a graph: what this front end makes of an app is an experiment of its time, and leaves no map on the graph behind it."""
    workflow = json.loads(EDIT.read_text("utf-8"))
    # As README.md says: this ComfyUI has no node that compares pictures.
    (compare,) = (node for node in workflow["nodes"] if node["type"] == "ImageCompare")
    workflow["nodes"].remove(compare)
    gone = [link[0] for link in workflow["links"] if link[3] == compare["id"]]
    workflow["links"] = [link for link in workflow["links"] if link[0] not in gone]
    for output in (output for node in workflow["nodes"] for output in node["outputs"]):
        output["links"] = [link for link in output["links"] if link not in gone]
    path = tmp_path / EDIT.name
    path.write_text(json.dumps({**workflow, "extra": {}}), "utf-8")
    return path


def test_a_dropped_workflow_draws_its_edit_and_says_which_layers_it_took(server, canvas, edit):
    workflow = canvas.drop(edit)
    canvas.page.evaluate(FOUR_TIMES)
    entry = canvas.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    canvas.wait_for_widgets("TextLayersChoose", r"\d of \d text layers .*\n\d: ", 20)
    canvas.screenshot("oldest front end.png")
    server.forget()  # so that the API's pictures are drawn, not remembered
    assert server.pixels(entry) == server.pixels(server.run(server.api_prompt(workflow)))


def test_the_map_is_there_and_takes_clicks_and_keys(canvas, edit):
    canvas.drop(edit)
    canvas.fit()
    layers = canvas.page.locator(".text-layers-map")
    assert layers.locator("[role='option']").count() == 9

    def written():
        widgets = canvas.widgets("TextLayersChoose")
        return widgets["choice"], widgets["layers"]

    assert written() == ("published for this model", "")
    layers.locator("[data-layer='7']").click()
    assert written() == ("written below", "4-5")
    canvas.page.keyboard.press("Home")
    canvas.page.keyboard.press("Space")
    assert written() == ("written below", "0, 4-5")
    canvas.page.screenshot(path=str(canvas.pictures / "oldest front end - map.png"))


def test_templates_are_offered_and_open(canvas):
    page = canvas.page
    path = next(w for w in sorted(WORKFLOWS.glob("*.json")) if w.name.startswith("Train"))  # it has a map, and is no app
    card = template_card(page, path, PATIENT)
    page.screenshot(path=str(canvas.pictures / "oldest front end - templates.png"))
    open_template(page, card, path, PATIENT)
