"""What a new user would type finds the right node, and the right template. Of a pack's templates only the files' names are searched."""

from contextlib import suppress

import pytest
from playwright.sync_api import TimeoutError

from .hand import EMPTY, blank, double_click

pytestmark = pytest.mark.needs_comfyui("0.30")  # older front ends search no aliases

PATIENT = 5000  # milliseconds
NOTHING = "zzzz"  # finds nothing: what is seen afterwards was found by the words
SHOWN = "document.body.innerText.includes(node)"
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
        # The graph is empty: what stands on the page are the results.
        with suppress(TimeoutError):
            for text, seen in ((NOTHING, f"!{SHOWN}"), (words, SHOWN)):
                page.keyboard.press("ControlOrMeta+a")
                page.keyboard.insert_text(text)
                page.wait_for_function(f"node => {seen}", arg=node, timeout=PATIENT)
            continue
        missing[words] = page.inner_text("body")[:500]
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
        card = dialog.get_by_text(template, exact=True).first
        with suppress(TimeoutError):
            for text, state in ((NOTHING, "hidden"), (words, "visible")):
                dialog.get_by_placeholder("Search").last.fill(text)
                card.wait_for(state=state, timeout=PATIENT)
            continue
        missing[words] = [line for line in dialog.inner_text().splitlines() if " - " in line]
    page.screenshot(path=str(canvas.pictures / "templates searched.png"))
    page.keyboard.press("Escape")
    assert not missing
