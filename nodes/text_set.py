"""The node that draws pictures to train on."""

import torch
from comfy_api.latest import io

from ..demo import signs
from ..demo.text_set import text_set
from .checked import checked
from .comfy_compat import ADVANCED, FIXED_SEED, aliases
from .live import each
from .text_layers import CATEGORY

_ANY = "any"
_INKS = {"dark": signs.INK, "white": (255, 255, 255), **{name: rgb for name, rgb in signs.PALETTE.items() if name != "white"}}


class DrawTextTrainingSet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        colours = [_ANY, *signs.PALETTE]
        return io.Schema(
            node_id="TextLayersDrawTrainingSet",
            display_name="Draw Text Training Set",
            category=f"{CATEGORY}/LoRA",
            description="Draws words on signs, with captions, in the size of the demo models: a set for trying Train Localized LoRA. "
            "Connect Make Training Dataset.",
            **aliases("synthetic dataset", "training pictures", "text dataset", "captions"),
            inputs=[
                io.String.Input("words", multiline=True, default="CAFE HOTEL BAKERY MUSIC PIZZA LEMON JAZZ SWIM QUIET BOX FRESH VIEW",
                                tooltip="Words of 1 to 6 letters, separated by spaces, commas or lines."),
                io.Int.Input("count", default=100, min=1, max=100000, tooltip="Pictures."),
                io.Combo.Input("sign", options=colours, tooltip="Colour of every sign. any: each picture has its own."),
                io.Combo.Input("wall", options=colours, tooltip="Colour of every wall."),
                io.Combo.Input("shape", options=[_ANY, *signs.SHAPES], tooltip="Shape of every sign."),
                io.Combo.Input("face", options=list(signs.FACES), tooltip="Of the letters. The demo models know the regular one."),
                io.Combo.Input("ink", options=list(_INKS), tooltip="Colour of the letters. The demo models know dark ones."),
                io.Boolean.Input("describe", default=True, tooltip="Captions tell colours and shape. Off: the word alone.", **ADVANCED),
                io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, **FIXED_SEED, tooltip="Decides everything left open."),
            ],
            outputs=[
                io.Image.Output(display_name="images", is_output_list=True, tooltip="The pictures, 64 x 32 pixels."),
                io.String.Output(display_name="texts", is_output_list=True, tooltip="The caption of each."),
            ],
            hidden=[io.Hidden.unique_id],
        )  # fmt: skip

    @classmethod
    @checked
    def execute(cls, words, count, sign, wall, shape, face, ink, describe, seed):
        sign, wall, shape = (None if chosen == _ANY else chosen for chosen in (sign, wall, shape))
        chosen = words.upper().replace(",", " ").split()
        lettering = signs.Lettering(face, _INKS[ink])
        pictures, captions = text_set(chosen, count, seed, sign, wall, shape, describe, lettering, lambda items: each(items, cls))
        return io.NodeOutput(list(torch.from_numpy(pictures).float().div(255).split(1)), captions)
