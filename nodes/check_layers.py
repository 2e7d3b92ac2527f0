"""The node that says whether text layers hold in a model."""

import comfy.model_management
import comfy.samplers
from comfy_api.latest import io

from ..localization.check import CALLS, MOST_PAIRS, check, report
from ..localization.drawing import Drawing, Setting
from ..localization.guidance import notice
from ..localization.pairs import DEFAULT, check_readable, parse_pairs
from ..localization.sweep import Sweep
from ..patching import models
from ..scoring.languages import BUILT_IN
from ..scoring.ocr import engine
from .checked import checked
from .comfy_compat import ADVANCED, FIXED_SEED, SAYS, aliases
from .inputs import language_input, ocr_input
from .layer_map import layer_map
from .live import Live, number, say
from .text_layers import CATEGORY, TextLayersSocket, show

_ROWS = 6  # of one batch: what one pair of words takes


class CheckTextLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersCheckLayers",
            display_name="Check Text Layers",
            category=f"{CATEGORY}/layers",
            description="Says whether text layers hold in the connected model, such as published layers in a fine-tuned one: they, all "
            "other layers and random sets of as many are compared on a few words, in about 60 calls of the model.",
            **aliases("verify text layers", "do these layers hold", "test text layers", "fine-tuned model", "merged model"),
            inputs=[
                io.Model.Input("model", tooltip="The model in which the layers are checked, with its LoRAs. It stays as it is."),
                io.Clip.Input("clip", tooltip="The text encoder of the same checkpoint."),
                io.Vae.Input("vae", tooltip="The VAE of the same checkpoint."),
                TextLayersSocket.Input("text_layers", tooltip="The layers in question, found in another model of this architecture, say."),
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
                    tooltip="One pair a line, source and target: CAFE, HOTEL. Six or more. They are used from the bottom, which a search "
                    "of the same list has hardly looked at.",
                ),
                ocr_input("What reads the pictures"),
                io.Int.Input(
                    "seed",
                    default=42,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    **FIXED_SEED,
                    tooltip="The noise of the first pair, and which random sets of layers are drawn.",
                ),
                io.Int.Input(
                    "steps", default=10, min=2, max=1000, tooltip="Steps of a finished picture. Words are read half-way, with euler."
                ),
                io.Float.Input(
                    "cfg", default=7.0, min=0.0, max=100.0, step=0.1, tooltip="Guidance, as in KSampler. 1 for distilled models."
                ),
                io.Combo.Input("scheduler", options=comfy.samplers.KSampler.SCHEDULERS, tooltip="As in KSampler."),
                io.Int.Input(
                    "calls",
                    default=CALLS,
                    min=1,
                    max=10000,
                    tooltip="The most calls of the model. A picture that goes through it counts as one, with guidance two. With more, more "
                    "words are compared and read.",
                ),
                io.String.Input("negative", default="", **ADVANCED, tooltip="The negative prompt of all pictures."),
                language_input(),
            ],
            outputs=[
                TextLayersSocket.Output(display_name="text_layers", tooltip="The layers that were checked, as they are."),
                io.String.Output(display_name="report", tooltip="The verdict and what it rests on, in words."),
            ],
            **SAYS,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model,
        clip,
        vae,
        text_layers,
        latent_image,
        template,
        word_pairs,
        ocr,
        seed,
        steps,
        cfg,
        scheduler,
        calls,
        negative,
        language=BUILT_IN,
    ):
        pairs = parse_pairs(word_pairs, comfy.model_management.throw_exception_if_processing_interrupted)[::-1][:MOST_PAIRS]
        reader = engine(ocr, language or BUILT_IN)
        check_readable(pairs, reader)
        if text_layers.heads:
            raise ValueError(
                f"Whole layers can be checked, and these text layers take some heads only ({', '.join(text_layers.heads)}). Write the "
                "layers without heads in Text Layers to check them."
            )
        drawing = Drawing(model, clip, vae, pairs, Setting(template, negative, latent_image, seed, steps, cfg, "euler", scheduler, _ROWS))
        models.check(model, text_layers)
        layers = [drawing.names.index(name) for name in text_layers.names]
        told = notice(model, cfg)
        if told:
            say(number(cls), told)
        sweep = Sweep(drawing, reader, None, Live(number(cls), len(drawing.names), calls))
        found = check(sweep, layers, calls)
        text = "\n".join(filter(None, (told, report(found, layers, len(drawing.names), reader.name))))
        return io.NodeOutput(text_layers, text, ui=show(text, layer_map(drawing.names, text_layers)))
