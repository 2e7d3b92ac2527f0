"""ComfyUI schemas: each node reads its sockets, calls one function of the pack and wraps the result."""

from comfy_api.latest import ComfyExtension

from . import asked
from .check_layers import CheckTextLayers
from .deepfloyd import LoadDeepFloydIF
from .demo_model import LoadTextDemoModel
from .editing import CompositeEdit, ReplaceDrawnWords, ReplaceDrawnWordsInMany
from .guard import CheckDrawnText, GuardDrawnText
from .inversion import InvertPicture, MaskDrawnText
from .localize import LocalizeTextLayers
from .lora import CutLora, LoadLocalizedLora, SaveLocalizedLora
from .measure import MeasureTextEdit
from .patch import PatchPromptIntoLayers
from .text_layers import ChooseTextLayers, LoadTextLayers, SaveTextLayers
from .text_set import DrawTextTrainingSet
from .training import TrainLocalizedLora


class TextLayersExtension(ComfyExtension):
    async def get_node_list(self):
        asked.watch()  # not in on_load, which ComfyUI 0.3 does not call
        return [
            LocalizeTextLayers,
            CheckTextLayers,
            ChooseTextLayers,
            PatchPromptIntoLayers,
            ReplaceDrawnWords,
            ReplaceDrawnWordsInMany,
            CompositeEdit,
            LoadLocalizedLora,
            CutLora,
            TrainLocalizedLora,
            SaveLocalizedLora,
            DrawTextTrainingSet,
            MeasureTextEdit,
            GuardDrawnText,
            CheckDrawnText,
            InvertPicture,
            MaskDrawnText,
            SaveTextLayers,
            LoadTextLayers,
            LoadTextDemoModel,
            LoadDeepFloydIF,
        ]
