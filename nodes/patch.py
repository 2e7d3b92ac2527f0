"""The node that swaps a prompt in the text layers."""

from functools import partial

from comfy_api.latest import io

from ..patching import models
from ..patching.discovery import look_at, said
from ..patching.patch import METHODS, OWN_RUN, Share, patch_prompt
from .checked import checked
from .comfy_compat import ADVANCED, SAYS_AGAIN, aliases
from .live import number, say
from .text_layers import CATEGORY, TextLayersSocket, show


class PatchPromptIntoLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersPatchPrompt",
            display_name="Patch Prompt Into Layers",
            category=f"{CATEGORY}/edit",
            description="Gives the text layers of a model another prompt: the picture of the sampler's own prompt, with the words of "
            "this one. Sample with the same seed to keep the picture.",
            **aliases(
                "edit text in image",
                "edit text",
                "change drawn word",
                "change word",
                "prompt injection",
                "attention patching",
                "replace text",
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to patch. It stays as it is; the output is a patched copy."),
                io.Conditioning.Input(
                    "target",
                    tooltip="The prompt whose words should be drawn, from the same CLIP. "
                    "KSampler's positive is the prompt whose picture is kept.",
                ),
                TextLayersSocket.Input(
                    "text_layers",
                    optional=True,
                    tooltip="The layers that get the target prompt. Without them, those that are published for this model.",
                ),
                io.Int.Input(
                    "start_step",
                    default=0,
                    min=0,
                    max=10000,
                    tooltip="The first step that is patched, counted from 0 over the steps that the sampler runs. Later keeps more of "
                    "the picture: the paper takes 4 of 50 for SDXL and 2 of 28 for SD3. As many as the sampler has: nothing is patched.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=OWN_RUN,
                    **ADVANCED,
                    tooltip="Only for models whose text changes with the picture (SD3, Flux, Qwen-Image). The target's own run is the "
                    "paper's way and takes twice the time; the target on the source's latents is faster.",
                ),
                io.Conditioning.Input(
                    "target_negative", optional=True, tooltip="The target's negative prompt. Without one, the sampler's own is used."
                ),
                io.Latent.Input(
                    "keep",
                    optional=True,
                    tooltip="The LATENT of the source's sampler, drawn with the same seed. Outside of the changed words the picture then "
                    "stays exactly as it is. Encode both prompts with Replace Drawn Words, so that the words' place is known.",
                ),
                io.Float.Input(
                    "start_share",
                    default=0.0,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    optional=True,
                    **ADVANCED,
                    tooltip="Instead of start_step: the share of the sampler's steps before the first that is patched, whatever their "
                    "number. 0.08 is step 4 of 50 and 0 of 4.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="The patched model, for KSampler.")],
            hidden=[io.Hidden.unique_id],
            **SAYS_AGAIN,
        )

    @classmethod
    @checked
    def execute(cls, model, target, text_layers=None, start_step=0, method=OWN_RUN, target_negative=None, keep=None, start_share=0.0):
        if not target:
            return io.NodeOutput(model, ui=show("The target is empty: the model is not patched."))
        notice = partial(say, number(cls))
        kept = None if keep is None else keep["samples"]
        if start_step and start_share:
            raise ValueError(f"start_step is {start_step} and start_share {start_share:g}: set one of them to 0.")
        start = Share(start_share) if start_share else start_step
        look_at(model, target)
        layers = models.preset(model) if text_layers is None else text_layers
        patched = patch_prompt(model, layers, target, target_negative, start, method, notice=notice, keep=kept)
        notes = [said(model).strip()] if said(model) else []
        if method != OWN_RUN and not models.family_of(model).evolves:
            notes.append("method is not used: this model's text does not change with the picture.")
        return io.NodeOutput(patched, ui=show("\n".join(notes)) if notes else None)
