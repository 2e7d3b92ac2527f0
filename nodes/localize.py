"""The node that finds the text layers of a model."""

import comfy.model_management
import comfy.samplers
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..localization.drawing import SAMPLERS, Drawing, Setting
from ..localization.estimate import expected, said
from ..localization.guidance import notice as guidance_notice
from ..localization.localize import PROOFS, before, chart, contact_sheet, localize, report
from ..localization.pairs import DEFAULT, check_readable, parse_pairs
from ..localization.storage import folder
from ..localization.strategies import STRATEGIES
from ..localization.sweep import Sweep
from ..scoring.languages import BUILT_IN
from ..scoring.ocr import engine
from .checked import checked
from .comfy_compat import ADVANCED, FIXED_SEED, SAYS, aliases
from .inputs import language_input, ocr_input
from .layer_map import layer_map
from .live import Live, number, say
from .text_layers import CATEGORY, TextLayersSocket, show


class LocalizeTextLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersLocalize",
            display_name="Localize Text Layers",
            category=f"{CATEGORY}/layers",
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
                    tooltip="gradients: one backward pass judges all layers at once, by far the fewest calls; bisection where a model has "
                    "no gradient. first_step: judges each layer by the model's first call, then reads. bisection: groups of layers, faster "
                    "for models with many. halving: fewer pairs for layers that do little. exhaustive: reads pictures of every layer, "
                    "slow.",
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
                io.Combo.Input(
                    "proof",
                    options=list(PROOFS),
                    optional=True,
                    tooltip="search: as few calls as can be, and the answer is called not tested. search and test: then it is tested on "
                    "finished pictures of pairs that the search has not seen, and called sure if it draws 95 % of the words; give 85. "
                    "search, test and weigh: also what is lost without each layer, and the set against its complement and random sets.",
                ),
            ],
            outputs=[
                TextLayersSocket.Output(display_name="text_layers", tooltip="The layers that were found."),
                io.Image.Output(display_name="chart", tooltip="The effect of each layer, the chosen ones in colour."),
                io.Image.Output(display_name="contact_sheet", tooltip="Source, target, edit and the other layers, with what OCR reads."),
                io.String.Output(display_name="report", tooltip="The layers and the evidence for them, in words."),
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
        proof=PROOFS[0],
    ):
        pairs = parse_pairs(word_pairs, comfy.model_management.throw_exception_if_processing_interrupted)
        reader = engine(ocr, language or BUILT_IN)
        check_readable(pairs, reader)
        setting = Setting(template, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, batch)
        drawing = Drawing(model, clip, vae, pairs, setting)
        comfy.model_management.throw_exception_if_processing_interrupted()
        live = Live(number(cls), len(drawing.names))
        notice = "\n".join(filter(None, (guidance_notice(model, cfg), before(len(pairs), strategy, proof))))
        say(number(cls), "\n".join(filter(None, (notice, "The weights are read, by which a search that was stopped is found again."))))
        sweep = None
        try:
            sweep = Sweep(drawing, reader, folder(), live)
            goes_on = len(sweep.store) > 0
            sweep.time_a_call()
            calls = expected(drawing, strategy, proof)
            live.expected = drawing.model_calls + calls
            say(number(cls), "\n".join(filter(None, (notice, said(calls, sweep.pace, goes_on)))))
            found = localize(model, sweep, strategy, proof=proof)
            sheet = contact_sheet(found, sweep)
            text = "\n".join(filter(None, (notice, report(found, sweep))))
        except comfy.model_management.InterruptProcessingException:
            lost = sweep.store.problem if sweep else None
            say(number(cls), lost or "Interrupted. What was found is kept: queue again to go on.")
            raise
        finally:
            if sweep:
                sweep.close()
        pictures = [torch.from_numpy(picture).float()[None] / 255 for picture in (chart(found), sheet)]
        scores = {layer: round(found.ranking.mean(layer), 4) for layer in range(len(found.names))}
        # What follows is told why it gets no layers, and the chart and the report are there all the same.
        layers = found.text_layers if found.localized else ExecutionBlocker(found.says_not())
        return io.NodeOutput(layers, *pictures, text, ui=show(text, layer_map(found.names, found.text_layers, scores)))
