"""The node that loads DeepFloyd IF."""

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..deepfloyd import files
from ..deepfloyd.model import load_model, pixels, threshold
from ..deepfloyd.text import load_clip
from .checked import checked
from .comfy_compat import ADVANCED, aliases
from .text_layers import CATEGORY

_BESIDE, _NONE = "in the model's folder", "none"


class LoadDeepFloydIF(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersLoadDeepFloydIF",
            display_name="Load DeepFloyd IF",
            category=f"{CATEGORY}/models",
            description="Loads stage I of DeepFloyd IF, which draws 64 x 64 pixels, with its text encoder. Needs the Python package "
            "diffusers.",
            **aliases("deepfloyd", "IF-I-XL", "pixel diffusion", "diffusers loader", "T5 pixel model"),
            inputs=[
                io.Combo.Input(
                    "unet",
                    options=files.unets(),
                    tooltip="A folder in models/diffusers as diffusers writes it (IF-I-XL-v1.0), or a .safetensors file in "
                    "models/diffusion_models; sizes other than XL need their config.json in the same folder.",
                ),
                io.Combo.Input(
                    "text_encoder",
                    options=[_BESIDE, *folder_paths.get_filename_list("text_encoders"), _NONE],
                    tooltip="A T5-XXL encoder (t5-v1_1-xxl), the one that Stable Diffusion 3 and Flux use: the folder's own or one of "
                    "models/text_encoders. none: the CLIP output stays empty.",
                ),
                io.Boolean.Input(
                    "dynamic_thresholding",
                    default=True,
                    **ADVANCED,
                    tooltip="Keeps pixels in their range at every step, as IF's own samplers do. Without it guidance overdrives them.",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="The model, for KSampler. Give it an Empty Latent Image of 64 x 64."),
                io.Clip.Output(tooltip="Reads prompts of 77 tokens, in small letters."),
                io.Vae.Output(tooltip="Latents are pixels: it only brings them to the range of pictures."),
            ],
        )

    @classmethod
    def validate_inputs(cls, unet=None):
        """In place of ComfyUI's own message, which does not say where the files go. What comes over a link is not known yet."""
        return True if unet is None or unet in files.unets() else files.missing(unet)

    @classmethod
    @checked
    def execute(cls, unet, text_encoder, dynamic_thresholding):
        t5 = None
        if text_encoder == _BESIDE:
            t5 = files.text_encoder(unet)
        elif text_encoder != _NONE:
            t5 = [Path(folder_paths.get_full_path_or_raise("text_encoders", text_encoder))]
        model = load_model(unet)
        if dynamic_thresholding:
            model.set_model_sampler_post_cfg_function(threshold)
        return io.NodeOutput(model, t5 and load_clip(t5), pixels())
