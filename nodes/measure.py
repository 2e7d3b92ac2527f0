"""The node that measures an edit."""

from itertools import cycle

import numpy as np
import torch
from comfy_api.latest import io

from ..scoring.charts import edit_chart
from ..scoring.compare import Folding
from ..scoring.edit import change, measure
from ..scoring.languages import BUILT_IN
from ..scoring.ocr import engine
from .checked import checked
from .comfy_compat import ADVANCED, SAYS, aliases
from .inputs import entries, language_input, ocr_input, read_images
from .live import each
from .text_layers import CATEGORY, show


class MeasureTextEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersMeasureEdit",
            display_name="Measure Text Edit",
            category=f"{CATEGORY}/edit",
            description="Reads the words of an edit with OCR and measures how much of the rest has changed, with a map of where.",
            **aliases("OCR", "PSNR", "SSIM", "compare images", "evaluate edit", "heat map"),
            inputs=[
                io.Image.Input("source", tooltip="The picture before the edit."),
                io.Image.Input("edited", tooltip="The picture after it, of the same size."),
                io.String.Input("wanted", default="HOTEL",
                                tooltip="The text that the edit should show. For a batch one for all, or one each, with commas or lines "
                                "between them."),
                ocr_input("What reads the pictures"),
                io.Image.Input("target", optional=True, tooltip="What the target prompt draws by itself, for comparison."),
                io.Boolean.Input("ignore_case", default=True, optional=True, **ADVANCED, tooltip="Open is OPEN."),
                io.Boolean.Input("ignore_accents", default=False, optional=True, **ADVANCED, tooltip="Café is Cafe."),
                io.Boolean.Input("ignore_punctuation", default=True, optional=True, **ADVANCED,
                                 tooltip="Sale! is Sale. The signs %, &, # and @ and those of currencies always count."),
                io.Boolean.Input("ignore_spaces", default=True, optional=True, **ADVANCED,
                                 tooltip="Route 66 is Route66. OCR often reads a space too many or too few."),
                language_input(),
                io.Mask.Input("mask", optional=True,
                              tooltip="Where the edit was meant to change something, from Composite Edited Words. The report then tells "
                              "what changed inside and outside of it, and whether every other text reads as before."),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="What was read, and how near the pictures are, one paragraph a picture."),
                io.Image.Output(display_name="chart", tooltip="The pictures with the words' boxes, and where the background changed."),
                io.Float.Output(display_name="f1", tooltip="Of the edited pictures' letters against the wanted word, the paper's, mean."),
                io.Float.Output(display_name="background_psnr", tooltip="Edited against source outside the words, dB, mean; at most 100."),
            ],
            **SAYS,
            hidden=[io.Hidden.unique_id],
        )  # fmt: skip

    @classmethod
    @checked
    def execute(
        cls,
        source,
        edited,
        wanted,
        ocr,
        target=None,
        ignore_case=True,
        ignore_accents=False,
        ignore_punctuation=True,
        ignore_spaces=True,
        language=BUILT_IN,
        mask=None,
    ):
        words = entries(wanted)
        folding = Folding(ignore_case, ignore_accents, ignore_punctuation, ignore_spaces)
        batches = {"source": source, "edited": edited} | ({"target": target} if target is not None else {})
        pictures = {name: read_images(name, batch) for name, batch in batches.items()}
        count = len(pictures["edited"])
        masks = None if mask is None else mask.reshape(-1, *mask.shape[-2:]).cpu().numpy()
        counts = {name: len(found) for name, found in pictures.items()} | ({"mask": len(masks)} if masks is not None else {})
        _check_counts(counts, len(words), count)
        reader, measured, charts = engine(ocr, language or BUILT_IN), [], []
        for number, word in each(list(zip(range(count), cycle(words))), cls):
            of = {name: found[number % len(found)] for name, found in pictures.items()}
            place = None if masks is None else masks[number % len(masks)]
            edit = measure(of["source"], of["edited"], word, reader, of.get("target"), folding, place)
            captions = [f'{name}: "{" / ".join(edit.read[name].splitlines())}"' for name in of]
            changed = change(of["source"], of["edited"], edit.boxes)
            charts.append(edit_chart([grounds[0] for grounds in of.values()], captions, changed, edit.boxes))
            measured.append(edit)
        text = "\n\n".join(edit.report() for edit in measured)
        shown = torch.from_numpy(np.stack(charts)).float() / 255
        f1 = float(np.mean([edit.words["edited"]["f1"] for edit in measured]))
        near = [edit.background["edited"]["psnr"] for edit in measured]
        psnr = float(np.mean([min(value, 100.0) for value in near if value is not None] or [float("nan")]))
        return io.NodeOutput(text, shown, f1, psnr, ui=show(text))


def _check_counts(counts, words, count):
    for name, found in counts.items():
        if found not in (1, count):
            raise ValueError(f"{name} has {found} pictures and edited {count}: give as many, or one for all.")
    if words not in (1, count):
        raise ValueError(f"There are {words} wanted words for {count} edited pictures: give one each, or one for all.")
