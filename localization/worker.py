"""What a Ray worker runs. ComfyUI's modules look for a GPU when they are imported, so they are imported when the worker starts and has
said whether there is one."""

import importlib
import os
from pathlib import Path


class Worker:
    """load: "module:function" of this pack and its arguments, which gives (MODEL, CLIP, VAE); pairs: [(source, target)]; setting: fields
    of drawing.Setting; ocr: an engine's name and language; folder: where the worker keeps cells, on its machine."""

    def __init__(self, load, arguments, pairs, setting, ocr, folder):
        import torch
        from comfy.cli_args import args

        args.cpu = not torch.cuda.is_available()
        from ..scoring.ocr import engine
        from .drawing import Drawing, Setting
        from .pairs import WordPair
        from .sweep import Sweep

        module, function = load.split(":")
        package = __name__.rsplit(".", 2)[0]
        model = getattr(importlib.import_module(f"{package}.{module}"), function)(*arguments)
        drawing = Drawing(*model, [WordPair(*pair) for pair in pairs], Setting(**setting))
        self._sweep = Sweep(drawing, engine(*ocr), Path(folder))

    def answer(self, kind, candidates, pairs, steps):
        """(cells, model calls) of one chunk. kind: "closeness" or "readings"."""
        before = self._sweep.drawing.model_calls
        getattr(self._sweep, kind)(candidates, pairs, steps)
        return self._sweep.cells(kind, candidates, pairs, steps), self._sweep.drawing.model_calls - before

    def process(self):
        """Its number in the system."""
        return os.getpid()
