"""What a node shows while a search runs."""

import time

import comfy.utils
from PIL import Image

from ..scoring.charts import live_chart

_INTERVAL = 0.5  # seconds between two pictures


class Live:
    """Called with localization.sweep.Progress: moves the node's progress bar, shows the chart so far and the last picture."""

    def __init__(self, node_id, layers):
        self._node, self._layers, self._next = node_id, layers, 0.0
        self._bar = comfy.utils.ProgressBar(1, node_id=node_id)

    def __call__(self, progress):
        picture = None
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _INTERVAL
            chart = live_chart(progress.scores, self._layers, progress.picture)
            picture = ("JPEG", Image.fromarray(chart), 512)
            self._say(f"{progress.left} model calls left in this round, {progress.done} done")
        self._bar.update_absolute(progress.done, progress.done + progress.left + 1, picture)

    def _say(self, text):
        if self._node:
            from server import PromptServer

            PromptServer.instance.send_progress_text(text, self._node)
