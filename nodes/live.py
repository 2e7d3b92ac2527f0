"""What a node shows while it works.

Live      of a search
seldom    whether it is time for another picture
say       a text on the node while it works
cut       a text as long as a page can take
each      items one by one, with the progress bar
number    by which a page knows a running node

Texts may come from strangers' files. They go to web/said.js, which draws them as text: ComfyUI's own widget for them would read them as
Markdown or HTML.
"""

import time

import comfy.model_management
import comfy.utils
from PIL import Image

from ..scoring.charts import live_chart

_INTERVAL = 0.5  # seconds between two pictures
_LONGEST = 20_000  # characters; more nobody reads, and the queue's history keeps all of it
_EVENT = "text_layers.said"


class Live:
    """Called with localization.sweep.Progress: moves the node's progress bar, shows the chart so far and the last picture."""

    def __init__(self, node_id, layers):
        self._node, self._layers, self._due = node_id, layers, seldom()
        self._bar = comfy.utils.ProgressBar(1, node_id=node_id)

    def __call__(self, progress):
        picture = None
        if self._due():
            chart = live_chart(progress.scores, self._layers, progress.picture)
            picture = ("JPEG", Image.fromarray(chart), 512)
            say(self._node, f"{progress.left} model calls left in this round, {progress.done} done")
        self._bar.update_absolute(progress.done, progress.done + progress.left + 1, picture)


def seldom():
    """A function that says True at most every half second."""
    last = float("-inf")

    def due():
        nonlocal last
        if time.monotonic() < last + _INTERVAL:
            return False
        last = time.monotonic()
        return True

    return due


def say(node_id, text):
    """node_id: None outside of a graph, where there is no page to write on."""
    if node_id:
        from server import PromptServer

        server = PromptServer.instance
        server.send_sync(_EVENT, {"node": node_id, "text": cut(text)}, server.client_id)


def cut(text):
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n... and {len(text) - _LONGEST} characters more"


def number(node):
    """node: the class that runs. None where it was not ComfyUI's queue that called it."""
    return node.hidden.unique_id if node.hidden else None


def each(items, node):
    """The items, a list; the bar of a running node moves after each, and an interruption stops before the next."""
    bar = comfy.utils.ProgressBar(len(items), node_id=number(node))
    for item in items:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield item
        bar.update(1)
