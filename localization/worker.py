"""What a Ray worker runs. ComfyUI's modules look for a GPU when they are imported, so they are imported when the worker starts and has
said whether there is one."""

import importlib
from pathlib import Path


class Worker:
    """Loads nothing before `start`, so that what is wrong then reaches the search as the error that it is."""

    def start(self, load, arguments, pairs, setting, ocr, folder):
        """What decides its answers (Sweep.parts). load: "module:function" of this pack and its arguments, which gives (MODEL, CLIP, VAE);
        pairs: [(source, target)]; setting: fields of drawing.Setting; ocr: an engine's name and language; folder: where the worker keeps
        cells, on its machine."""
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
        return self._sweep.parts

    def answer(self, kind, pairs, asked, how):
        """(cells, model calls, rows of a batch that fitted, why cells could not be kept) of one chunk. kind: a question of Sweep."""
        sweep, before = self._sweep, self._sweep.drawing.model_calls
        sweep.store.refresh()  # of one that was lost, on the same disk
        if kind == "slopes":
            sweep.slopes(asked, how, pairs)
        else:
            getattr(sweep, kind)(asked, pairs, how)
        return sweep.cells(kind, pairs, asked, how), sweep.drawing.model_calls - before, sweep.drawing.rows, sweep.store.problem
