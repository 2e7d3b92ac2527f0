"""ComfyUI's page in a real browser.

executable   where a browser is installed
launched     a Chromium
opened       the page in one, as a Canvas
settle       waits until the page stands still
Canvas       what a user does there: drops workflows, queues, looks
"""

import contextlib
import json
import shutil

from ..dev import BROWSERS

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_DROP = """async ([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, {type: "application/json"}));
  const canvas = document.querySelector("#graph-canvas");
  const box = canvas.getBoundingClientRect();
  const at = {bubbles: true, cancelable: true, dataTransfer: data, clientX: box.x + 400, clientY: box.y + 300};
  for (const kind of ["dragenter", "dragover", "drop"]) canvas.dispatchEvent(new DragEvent(kind, at));
}"""
_IS_OPEN = """() => window.app?.graph && window.app.extensionManager?.workflow?.activeWorkflow
  && !document.querySelector(".p-blockui-mask")"""
_LISTEN = """() => {
  window.ended = new Set()
  for (const kind of ["execution_success", "execution_error", "execution_interrupted"]) {
    window.app.api.addEventListener(kind, ({ detail }) => window.ended.add(detail.prompt_id))
  }
}"""
# The nodes before a drop, and whether others have come in their place: the same file may be dropped twice.
_REMEMBER = "() => { window.droppedOn = new Set(window.app.graph.nodes) }"
_HAS_COME = """count => {
  const { nodes } = window.app.graph
  const loading = window.app.extensionManager.workflow.activeWorkflow?.changeTracker?.constructor.isLoadingGraph
  return nodes.length === count && !loading && !nodes.some((node) => window.droppedOn.has(node))
}"""
# Eight frames in which neither the page nor the view changes; two seconds at most, since something may blink for ever, and without a GPU a
# frame may take half a second.
_STILL = """() => new Promise((done) => {
  let [still, view] = [0, ""]
  const began = performance.now()
  const observer = new MutationObserver(() => { still = 0 })
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true })
  const look = () => {
    const { scale, offset } = window.app.canvas.ds
    const now = String([scale, ...offset])
    still = now === view ? still + 1 : 0
    view = now
    if (still < 8 && performance.now() - began < 2000) return requestAnimationFrame(look)
    observer.disconnect()
    done()
  }
  requestAnimationFrame(look)
})"""


def executable():
    """The path of Debian's Chromium or any Chrome; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def launched():
    """A Chromium that has opened nothing yet."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), headless=True, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, server, pictures, size=(2400, 1300)):
    """pictures: the folder for screenshots; size: of the window, in pixels."""
    width, height = size
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        canvas = Canvas(server, context.new_page(), pictures)
        canvas.open()
        yield canvas


def settle(page):
    """Until what was done is drawn."""
    page.evaluate(_STILL)


class Canvas:
    def __init__(self, server, page, pictures):
        self.server, self.page, self.pictures = server, page, pictures

    def open(self):
        self.page.goto(self.server.url, timeout=120_000)
        self.page.wait_for_function(_IS_OPEN, timeout=120_000)
        self.page.evaluate(_LISTEN)
        self.settle()

    def settle(self):
        settle(self.page)

    def drop(self, path, as_app=False):
        """A workflow's file onto the canvas; returns what is in it. One that is an app opens as such if as_app, else as its graph."""
        workflow = json.loads(path.read_text("utf-8"))
        if not as_app:
            workflow.get("extra", {}).pop("linearMode", None)
        self.page.evaluate(_REMEMBER)
        self.page.evaluate(_DROP, [path.name, json.dumps(workflow)])
        self.page.wait_for_function(_HAS_COME, arg=len(workflow["nodes"]), timeout=60_000)
        self.settle()
        return workflow

    def set(self, setting, value):
        self.page.evaluate("([s, v]) => window.app.extensionManager.setting.set(s, v)", [setting, value])
        self.settle()

    def fit(self):
        self.page.evaluate("window.app.canvas.deselectAll()")  # what is selected would fill the view
        self.page.evaluate("window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.settle()

    def screenshot(self, name):
        """For people to look at; pytest keeps the folders of the last three runs."""
        self.fit()
        self.page.screenshot(path=str(self.pictures / name))

    def widgets(self, kind):
        """{name: value as text} of the first node of a kind."""
        node = "window.app.graph.nodes.find(n => n.type === kind)"
        return dict(self.page.evaluate(f"kind => {node}.widgets.map(w => [w.name, String(w.value)])", kind))

    def wait_for_widgets(self, kind, pattern, seconds):
        """Until what stands in the widgets of the first node of a kind matches a JavaScript pattern."""
        text = "window.app.graph.nodes.find(n => n.type === kind).widgets.map(w => String(w.value)).join('\\n')"
        script = f"([kind, pattern]) => new RegExp(pattern).test({text})"
        self.page.wait_for_function(script, arg=[kind, pattern], timeout=seconds * 1000)

    @contextlib.contextmanager
    def queued(self, seconds=300):
        """What is done inside queues one prompt; gives a list that holds its history entry afterwards, when the page knows of it, too."""
        last = "/history?max_items=1"  # all of it is megabytes after some runs
        before, found = set(self.server.json(last)), []
        yield found
        for _ in range(seconds * 10):
            if new := set(self.server.json(last)) - before:
                found.append(self.server.wait(number := new.pop()))
                self.page.wait_for_function("id => window.ended.has(id)", arg=number, timeout=60_000)
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"the browser's prompt did not finish in {seconds} s")

    def run(self, seconds=300):
        """Queues what is on the canvas and returns its history entry."""
        with self.queued(seconds) as found:
            self.page.evaluate("window.app.queuePrompt(0)")
        return found[0]
