"""The node that finds the text layers of a model."""

import comfy.model_management
import comfy.samplers
import torch
from comfy_api.latest import io

from ..localization.drawing import SAMPLERS, Drawing, Setting
from ..localization.localize import chart, contact_sheet, localize, report
from ..localization.pairs import DEFAULT, parse_pairs
from ..localization.storage import folder
from ..localization.strategies import STRATEGIES
from ..localization.sweep import Sweep
from ..scoring.languages import BUILT_IN
from ..scoring.ocr import check, engine
from .checked import checked
from .comfy_compat import ADVANCED, FIXED_SEED, aliases
from .inputs import language_input, ocr_input
from .layer_map import layer_map
from .live import Live, number
from .text_layers import CATEGORY, TextLayersSocket, show


class LocalizeTextLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersLocalize",
            display_name="Localize Text Layers",
            category=CATEGORY,
            description="Finds the few attention layers that decide which words a model draws: swaps word pairs in different layers, reads "
            "the pictures with OCR and keeps the smallest set of layers that changes the word. What was found is kept on disk, so that an "
            "interrupted search goes on where it stopped.",
            **aliases("find text layers", "which layers draw text", "layer search", "OCR", "localization", "typography"),
            inputs=[
                io.Model.Input("model", tooltip="The model that is searched. It stays as it is."),
                io.Clip.Input("clip", tooltip="The text encoder of the same checkpoint."),
                io.Vae.Input("vae", tooltip="The VAE of the same checkpoint."),
                io.Latent.Input("latent_image", tooltip="An empty latent in the size of the pictures. The smaller, the faster."),
                io.String.Input(
                    "template",
                    default='a sign that says "{word}"',
                    tooltip="The prompt of all pictures. {word} is where the word goes. Choose one whose words the model draws well.",
                ),
                io.String.Input(
                    "word_pairs",
                    default=DEFAULT,
                    multiline=True,
                    tooltip="One pair a line, source and target: CAFE, HOTEL. Any text that OCR reads, of 2 letters or more, in quotes "
                    "where it holds a comma. They are used from the top as far as they are needed.",
                ),
                io.Combo.Input(
                    "strategy",
                    options=list(STRATEGIES),
                    tooltip="first_step: judges each layer by the model's first call, then reads. bisection: groups of layers, faster for "
                    "models with many. halving: fewer pairs for layers that do little. exhaustive: reads pictures of every layer, slow.",
                ),
                ocr_input("What reads the pictures"),
                io.Int.Input(
                    "seed",
                    default=42,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    **FIXED_SEED,
                    tooltip="The noise of the first pair; every pair has its own.",
                ),
                io.Int.Input("steps", default=20, min=2, max=1000, tooltip="Steps of a finished picture."),
                io.Float.Input("cfg", default=7.0, min=0.0, max=100.0, step=0.1, tooltip="Guidance, as in KSampler."),
                io.Combo.Input("sampler_name", options=SAMPLERS, tooltip="Only samplers that add no noise of their own."),
                io.Combo.Input("scheduler", options=comfy.samplers.KSampler.SCHEDULERS, tooltip="As in KSampler."),
                io.String.Input("negative", default="", **ADVANCED, tooltip="The negative prompt of all pictures."),
                io.Int.Input(
                    "batch",
                    default=16,
                    min=2,
                    max=256,
                    **ADVANCED,
                    tooltip="The most pictures in one call of the model. Halved by itself when memory runs out.",
                ),
                language_input(),
            ],
            outputs=[
                TextLayersSocket.Output(display_name="text_layers", tooltip="The layers that were found."),
                io.Image.Output(display_name="chart", tooltip="The effect of each layer, the chosen ones in colour."),
                io.Image.Output(display_name="contact_sheet", tooltip="Source, target, edit and the other layers, with what OCR reads."),
                io.String.Output(display_name="report", tooltip="The layers and the evidence for them, in words."),
            ],
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model,
        clip,
        vae,
        latent_image,
        template,
        word_pairs,
        strategy,
        ocr,
        seed,
        steps,
        cfg,
        sampler_name,
        scheduler,
        negative,
        batch,
        language=BUILT_IN,
    ):
        pairs = parse_pairs(word_pairs, comfy.model_management.throw_exception_if_processing_interrupted)
        reader = engine(ocr, language or BUILT_IN)
        for word in {word for pair in pairs for word in (pair.source, pair.target)}:
            check(reader, "the word pairs' word", word)
        setting = Setting(template, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, batch)
        drawing = Drawing(model, clip, vae, pairs, setting)
        comfy.model_management.throw_exception_if_processing_interrupted()
        live = Live(number(cls), len(drawing.names))
        sweep = Sweep(drawing, reader, folder(), live)
        try:
            found = localize(model, sweep, strategy)
            sheet = contact_sheet(found, sweep)
        finally:
            sweep.close()
        text = report(found, sweep)
        pictures = [torch.from_numpy(picture).float()[None] / 255 for picture in (chart(found), sheet)]
        scores = {layer: round(found.ranking.mean(layer), 4) for layer in range(len(found.names))}
        return io.NodeOutput(found.text_layers, *pictures, text, ui=show(text, layer_map(found.names, found.text_layers, scores)))
