"""Nodes that make, keep and bring back a TEXT_LAYERS value."""

from comfy_api.latest import io, ui

from ..patching import models, storage
from ..patching.discovery import look_at, said
from ..patching.paths import shown
from ..patching.text_layers import doubted, summary
from .checked import checked
from .comfy_compat import SAYS, aliases
from .layer_map import layer_map
from .live import cut

TextLayersSocket = io.Custom("TEXT_LAYERS")
CATEGORY = "text layers"
_PRESET, _BY_HAND = "published for this model", "written below"
_PROMPT = (
    "Only for models that the pack does not know by name: any prompt from the model's own CLIP. The model is looked at with it, which "
    "takes about a hundred calls on a small picture."
)


def show(text, map_of_layers=None):
    """What a node says when it has run, which web/said.js draws; it stays in the queue's history. map_of_layers: of layer_map."""
    return ui.PreviewText(cut(text)).as_dict() | (map_of_layers or {})


class ChooseTextLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersChoose",
            display_name="Text Layers",
            category=f"{CATEGORY}/layers",
            description="Chooses the attention layers that decide which words the connected model draws.",
            **aliases("localized layers", "cross attention layers", "joint attention blocks", "text rendering", "typography"),
            inputs=[
                io.Model.Input("model", tooltip="The model whose layers are chosen. It is only looked at."),
                io.Combo.Input(
                    "choice",
                    options=[_PRESET, _BY_HAND],
                    tooltip="Take the layers that are published for this model's architecture (SDXL, Stable Diffusion 3 medium, "
                    "DeepFloyd IF-I-XL and the demo models), or those written below.",
                ),
                io.String.Input(
                    "layers",
                    default="",
                    tooltip="Only read when written below is chosen: indices (10), ranges (55-57) or module paths, separated by "
                    "commas. 10:0+3 means heads 0 and 3 of layer 10.",
                ),
                io.Conditioning.Input("prompt", optional=True, tooltip=_PROMPT),
            ],
            outputs=[TextLayersSocket.Output(display_name="text_layers", tooltip="The chosen layers.")],
            **SAYS,
        )

    @classmethod
    @checked
    def execute(cls, model, choice, layers, prompt=None):
        look_at(model, prompt)
        if choice == _PRESET:
            chosen = published = models.preset(model)
        else:
            chosen, published = models.written(model, layers), models.known(model)
        names = models.layer_names(model)
        return io.NodeOutput(chosen, ui=show(summary(chosen, names) + said(model), layer_map(names, chosen, published=published)))


class SaveTextLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersSave",
            display_name="Save Text Layers",
            category=f"{CATEGORY}/layers",
            description="Writes text layers as a small JSON file into models/text_layers.",
            **aliases("export text layers", "store localized layers"),
            inputs=[
                TextLayersSocket.Input("text_layers", tooltip="The layers to keep."),
                io.String.Input(
                    "filename", default="my text layers", tooltip="The file's name. An existing file is not overwritten: a number is added."
                ),
            ],
            outputs=[],
            **SAYS,
        )

    @classmethod
    @checked
    def execute(cls, text_layers, filename):
        path = storage.save(text_layers, filename)
        doubt = f"\n{doubted(text_layers)}" if text_layers.doubt else ""
        return io.NodeOutput(ui=show(f"Saved as {shown(path)}{doubt}"))


class LoadTextLayers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TextLayersLoad",
            display_name="Load Text Layers",
            category=f"{CATEGORY}/layers",
            description="Reads text layers from a JSON file in models/text_layers. A file of another architecture is refused.",
            **aliases("import text layers", "localized layers file"),
            inputs=[
                io.Model.Input("model", tooltip="The model that the layers are for."),
                io.Combo.Input("file", options=storage.names(), tooltip="A file in models/text_layers, written by Save Text Layers."),
                io.Conditioning.Input("prompt", optional=True, tooltip=_PROMPT),
            ],
            outputs=[TextLayersSocket.Output(display_name="text_layers", tooltip="The layers of the file.")],
            **SAYS,
        )

    @classmethod
    def fingerprint_inputs(cls, model, file, prompt=None):
        return storage.version(file)

    @classmethod
    @checked
    def execute(cls, model, file, prompt=None):
        look_at(model, prompt)
        loaded = models.check(model, storage.load(file))
        names = models.layer_names(model)
        return io.NodeOutput(loaded, ui=show(summary(loaded, names) + said(model), layer_map(names, loaded)))
