"""What a new user would type finds the right node, and the right template. Of a pack's templates only the files' names are searched."""

import pytest

from .hand import EMPTY, blank, double_click

pytestmark = pytest.mark.needs_comfyui("0.30")  # older front ends search no aliases

NODES = {
    "edit text": "Replace Drawn Words",
    "change word": "Replace Drawn Words",
    "replace text": "Replace Drawn Words",
    "erase text": "Replace Drawn Words",
    "spelling": "Replace Drawn Words",
    "typo": "Replace Drawn Words",
    "caption": "Replace Drawn Words",
    "inpaint text": "Mask Drawn Text",
    "OCR": "Measure Text Edit",
    "remove toxic words": "Guard Drawn Text",
    "drawn word": "Edit Drawn Word",  # the blueprint
}
TEMPLATES = {
    "edit text": "Edit text, change a word - SDXL",
    "change text": "Change text in a picture - demo U-Net",
    "replace text": "Replace text by a list of words - demo U-Net",
    "erase text": "Erase text from a picture - demo U-Net",
    "inpaint text": "Change text in a photo, inpaint text - demo U-Net",
    "spelling": "Fix spelling with a LoRA - SDXL",
    "remove toxic words": "Remove toxic words, guard drawn text - demo U-Net",
}


def test_words_find_the_right_node(wide):
    page = wide.page
    blank(page)
    double_click(page, *EMPTY, "input:focus")
    missing = {}
    for words, node in NODES.items():
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(words)
        page.wait_for_timeout(1500)
        shown = page.inner_text("body")  # the graph is empty: what is read are the results
        if node not in shown:
            missing[words] = shown[:500]
    page.screenshot(path=str(wide.pictures / "search.png"))
    page.keyboard.press("Escape")
    assert not missing


def test_words_find_the_right_template(canvas):
    page = canvas.page
    page.evaluate("window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text("renamed-by-manager", exact=True).first.click(timeout=120_000)  # all of ComfyUI's own templates come first
    dialog = page.get_by_role("dialog")
    missing = {}
    for words, template in TEMPLATES.items():
        dialog.get_by_placeholder("Search").last.fill(words)
        page.wait_for_timeout(1500)
        shown = dialog.inner_text()
        if template not in shown:
            missing[words] = [line for line in shown.splitlines() if " - " in line]
    page.screenshot(path=str(canvas.pictures / "templates searched.png"))
    page.keyboard.press("Escape")
    assert not missing
