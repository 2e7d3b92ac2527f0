"""What a node shows while it works.

Live      of a search
seldom    whether it is time for another picture
say       a line of text on the node
each      items one by one, with the progress bar
"""

import time

import comfy.model_management
import comfy.utils
from PIL import Image

from ..scoring.charts import live_chart

_INTERVAL = 0.5  # seconds between two pictures


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
    if node_id:
        from server import PromptServer

        PromptServer.instance.send_progress_text(text, node_id)


def each(items, node):
    """The items, a list; the bar of a running node moves after each, and an interruption stops before the next."""
    bar = comfy.utils.ProgressBar(len(items), node_id=node.hidden.unique_id)
    for item in items:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield item
        bar.update(1)
