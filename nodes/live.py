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

from ..localization.estimate import in_words
from ..scoring.charts import live_chart

_INTERVAL = 0.5  # seconds between two pictures
_BAR = 1000  # parts of a progress bar
_LONGEST = 20_000  # characters; more nobody reads, and the queue's history keeps all of it
_EVENT = "text_layers.said"


class Live:
    """Called with localization.sweep.Progress: moves the node's progress bar, which goes forward only, says what is asked and how much time
    is left, shows the chart so far and the last picture. expected: model calls in all, as far as is known."""

    def __init__(self, node_id, layers, expected=0):
        self.expected = expected
        self._node, self._layers, self._due = node_id, layers, seldom()
        self._bar = comfy.utils.ProgressBar(_BAR, node_id=node_id)
        self._reached, self._first = 0, None

    def __call__(self, progress):
        picture = None
        if self._due():
            chart = live_chart(progress.scores, self._layers, progress.picture)
            picture = ("JPEG", Image.fromarray(chart), 512)
            say(self._node, self._says(progress))
        if self.expected:
            done = progress.done / max(self.expected, progress.done + progress.left + 1)
            self._reached = max(self._reached, int(_BAR * done))
        self._bar.update_absolute(self._reached, _BAR, picture)

    def _says(self, progress):
        now, done, total = time.monotonic(), progress.done, max(self.expected, progress.done + progress.left)
        began, before = self._first = self._first or (now, done)
        left = f", {in_words((total - done) * (now - began) / (done - before))} left" if done > before and self.expected else ""
        return f"{progress.asked}: {done} of about {total} model calls{left}"


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
