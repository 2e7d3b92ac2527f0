"""What a hand does on ComfyUI's page: opens the search box, puts nodes down, pulls links, writes words and numbers."""

import json

from playwright.sync_api import TimeoutError as NothingOpened
from text_layers.testing.browser import settle

EMPTY = (900, 1200)  # a place on the canvas where no node comes to lie


def blank(page):
    """A new workflow, whose coordinates are those of the screen; what another test has left open is closed."""
    page.keyboard.press("Escape")
    page.evaluate("window.app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function("window.app.graph.nodes.length === 0")
    page.evaluate("() => { window.app.canvas.ds.scale = 1; window.app.canvas.ds.offset = [0, 0]; window.app.canvas.setDirty(true, true) }")


def place(page, script, *values):
    """Where something of the graph is on the screen; script: an expression for [x, y] on the canvas."""
    return page.evaluate(f"v => window.app.canvasPosToClientPos([...({script})(...v)])", list(values))


def double_click(page, x, y, opens):
    """Opens what a selector finds. On a busy machine the second click may come too late to make a double one: then another try. What opens
    late must not be met by one: a page that draws without a GPU can be ten seconds behind."""
    for tries_left in (3, 2, 1, 0):
        page.mouse.dblclick(x, y)
        try:
            return page.locator(opens).wait_for(timeout=15_000)
        except NothingOpened:
            if not tries_left:
                raise
            page.keyboard.press("Escape")  # what the clicks opened beside it would take the next ones, too
            page.mouse.move(5, 5)
            page.wait_for_timeout(500)


def add(page, search, kind, x, y):
    """From the search box, which a double click opens; a click then puts the node down. kind: a node's type or a blueprint's name."""
    double_click(page, *EMPTY, "input:focus")
    page.keyboard.type(search)
    page.wait_for_timeout(700)
    page.keyboard.press("Enter")
    page.wait_for_function("window.app.graph.nodes.some(n => n.flags.ghost)")
    settle(page)
    page.mouse.move(x, y, steps=5)
    page.wait_for_timeout(400)  # no hand is quicker, and the page would take this click for another's second
    page.mouse.click(x, y)
    page.wait_for_function("!window.app.graph.nodes.some(n => n.flags.ghost)")
    settle(page)
    newest = "() => window.app.graph.nodes.map(n => [n.id, n.subgraph?.name ?? n.type]).sort((a, b) => b[0] - a[0])[0]"
    added = page.evaluate(newest)
    assert added[1] == kind, f"the search box gave {added} for {search}"
    return added[0]


def connect(page, source, output, target, name):
    slot = "(id, name) => { const n = window.app.graph.getNodeById(id); return n.%s(n.%s.findIndex(s => s.name === name)) }"
    page.mouse.move(*place(page, slot % ("getOutputPos", "outputs"), source, output))
    page.mouse.down()
    page.mouse.move(*place(page, slot % ("getInputPos", "inputs"), target, name), steps=6)
    page.mouse.up()


def write_number(page, node, name, text):
    at = """(id, name) => {
      const n = window.app.graph.getNodeById(id)
      return [n.pos[0] + n.size[0] - 60, n.pos[1] + n.widgets.find(w => w.name === name).y + 10]
    }"""
    double_click(page, *place(page, at, node, name), ".graphdialog input")
    dialog = page.locator(".graphdialog input")
    dialog.fill(text)
    dialog.press("Enter")
    settle(page)


def write_prompt(page, node, name, text):
    """Over what stands in a text box."""
    at = """(id, name) => {
      const n = window.app.graph.getNodeById(id)
      return [n.pos[0] + 100, n.pos[1] + n.widgets.find(w => w.name === name).y + 30]
    }"""
    page.mouse.click(*place(page, at, node, name))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def template_card(page, path, patience=30_000):
    """The card of one of the pack's templates, searched for. patience: milliseconds."""
    page.evaluate("window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text("renamed-by-manager", exact=True).first.click(timeout=patience)
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("Search").last.fill(path.stem)  # the last ones of many are shown when they are scrolled to
    card = dialog.get_by_text(path.stem, exact=True).first  # a tab may have that name, too
    card.wait_for(timeout=patience)
    settle(page)  # until the others are gone
    return card


def open_template(page, card, path, patience=30_000):
    """Until its nodes and its map are there."""
    card.click(timeout=patience)
    page.wait_for_function("n => window.app.graph.nodes.length === n", arg=len(json.loads(path.read_text("utf-8"))["nodes"]))
    page.locator(".text-layers-map [role='option']").first.wait_for()
