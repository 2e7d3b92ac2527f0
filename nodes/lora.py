"""Nodes that bring LoRAs onto the text layers."""

from pathlib import Path

import folder_paths
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..lora import storage
from ..lora.files import read
from ..lora.load import cut, load_lora, report_of_cut
from ..lora.metadata import LoraTensors
from ..patching.paths import shown, stamp
from .checked import checked
from .comfy_compat import ADVANCED, SAYS, aliases
from .text_layers import CATEGORY, TextLayersSocket, show

_STRENGTH = {"min": -100.0, "max": 100.0, "step": 0.01}


def _file_input():
    return io.Combo.Input("lora_name", options=folder_paths.get_filename_list("loras"), tooltip="A file in models/loras.")


def lora_path(name):
    return Path(folder_paths.get_full_path_or_raise("loras", name))


def version(name):
    """Changes when the file does, so that a new one of the same name is read again. ComfyUI does not tell what comes over a link (None):
    then when any file does. None for what is no file: ComfyUI 0.3 writes what is raised here into its log, which half a character ends;
    the node itself says what is wrong."""
    names = folder_paths.get_filename_list("loras") if name is None else [name]
    paths = [folder_paths.get_full_path("loras", name) if isinstance(name, str) else None for name in names]
    return stamp(*(path for path in paths if path is not None))


class LoadLocalizedLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersLoadLora",
            display_name="Load Localized LoRA",
            category=f"{CATEGORY}/LoRA",
            description="Applies a LoRA with one strength in the text layers and another everywhere else: a text LoRA without its side "
            "effects, or a style LoRA that leaves the words alone.",
            **aliases("lora", "load lora", "lora block weight", "text lora", "partial lora", "spelling"),
            inputs=[
                io.Model.Input("model", tooltip="The model that the LoRA is for. It stays as it is; the output is a patched copy."),
                TextLayersSocket.Input("text_layers", tooltip="The layers that decide the drawn words."),
                _file_input(),
                io.Float.Input("strength_text_layers", default=1.0, tooltip="Of the LoRA in the text layers.", **_STRENGTH),
                io.Float.Input(
                    "strength_elsewhere",
                    default=0.0,
                    tooltip="Of the LoRA in all other layers. The same as in the text layers: what Load LoRA does.",
                    **_STRENGTH,
                ),
                io.Float.Input(
                    "strength_clip",
                    default=0.0,
                    tooltip="Of the LoRA in the text encoders, where a CLIP is connected. 0: they stay as they are.",
                    **ADVANCED,
                    **_STRENGTH,
                ),
                io.Clip.Input("clip", optional=True, tooltip="Only needed when the LoRA should change the text encoders, too."),
            ],
            outputs=[
                io.Model.Output(tooltip="The model with the LoRA."),
                io.Clip.Output(tooltip="The CLIP, with the LoRA when its strength is not 0."),
                io.String.Output(display_name="report", tooltip="What the file holds, and how much of it is used."),
            ],
            **SAYS,
        )

    @classmethod
    def fingerprint_inputs(cls, lora_name, **others):
        return version(lora_name)

    @classmethod
    @checked
    def execute(cls, model, text_layers, lora_name, strength_text_layers, strength_elsewhere, strength_clip, clip=None):
        if strength_clip and clip is None:
            raise ValueError("strength_clip is not 0, but no CLIP is connected: connect one, or set it to 0.")
        loaded = load_lora(read(lora_path(lora_name)), model, text_layers, strength_text_layers, strength_elsewhere, clip, strength_clip)
        no_clip = ExecutionBlocker("Connect a CLIP to Load Localized LoRA: it can only pass on the one that it gets.")
        return io.NodeOutput(loaded.model, loaded.clip or no_clip, loaded.report, ui=show(loaded.report))


class CutLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersCutLora",
            display_name="Cut LoRA To Text Layers",
            category=f"{CATEGORY}/LoRA",
            description="Keeps only what a LoRA file does in the text layers. Connect Save Localized LoRA for a file a fraction of the "
            "size, or Load LoRA Model.",
            **aliases("extract lora", "shrink lora", "split lora"),
            inputs=[
                io.Model.Input("model", tooltip="A model of the kind that the LoRA is for. It is only looked at."),
                TextLayersSocket.Input("text_layers", tooltip="The layers whose part of the LoRA is kept."),
                _file_input(),
            ],
            outputs=[io.Custom("LORA_MODEL").Output(display_name="lora", tooltip="The part of the LoRA in the text layers.")],
            **SAYS,
        )

    @classmethod
    def fingerprint_inputs(cls, lora_name, **others):
        return version(lora_name)

    @classmethod
    @checked
    def execute(cls, model, text_layers, lora_name):
        file = read(lora_path(lora_name))
        kept = cut(file, model, text_layers)
        return io.NodeOutput(kept, ui=show(report_of_cut(file, kept, model, text_layers)))


class SaveLocalizedLora(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersSaveLora",
            display_name="Save Localized LoRA",
            category=f"{CATEGORY}/LoRA",
            description="Writes a LoRA as safetensors with metadata: the architecture, its text layers, rank, steps and settings.",
            **aliases("save lora", "export lora"),
            inputs=[
                io.Custom("LORA_MODEL").Input("lora", tooltip="From Train Localized LoRA, Cut LoRA To Text Layers or core's Train LoRA."),
                io.String.Input(
                    "filename_prefix",
                    default="loras/text layers",
                    tooltip="Under ComfyUI's output folder; files in output/loras are offered by all LoRA loaders. A number is added, "
                    "nothing is overwritten.",
                ),
            ],
            outputs=[],
            **SAYS,
        )

    @classmethod
    @checked
    def execute(cls, lora, filename_prefix):
        path = storage.save(lora if isinstance(lora, LoraTensors) else LoraTensors(lora, {}), filename_prefix)
        return io.NodeOutput(ui=show(f"Saved as {shown(path)}"))
