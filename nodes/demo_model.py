"""The node that loads the models which ship with the pack."""

from comfy_api.latest import io

from ..demo.comfy_model import MODELS, load
from .checked import checked
from .comfy_compat import aliases
from .text_layers import CATEGORY


class LoadTextDemoModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersLoadDemoModel",
            display_name="Load Text Demo Model",
            category=f"{CATEGORY}/models",
            description="Loads one of the two tiny models that ship with this pack and draw a word on a sign, 64 x 32 pixels.",
            **aliases("demo checkpoint", "tiny model", "text layers example"),
            inputs=[
                io.Combo.Input(
                    "demo_model",
                    options=list(MODELS),
                    tooltip="unet is built like SDXL (cross-attention), mmdit like Stable Diffusion 3 (joint attention).",
                )
            ],
            outputs=[
                io.Model.Output(tooltip="The model, for KSampler."),
                io.Clip.Output(tooltip='Understands prompts like: a red round sign on a blue wall that says "CAFE"'),
                io.Vae.Output(tooltip="Unfolds the latents to pixels."),
            ],
        )

    @classmethod
    @checked
    def execute(cls, demo_model):
        return io.NodeOutput(*load(demo_model))
