"""Qwen-Image 2.1, which ComfyUI 0.30 has not.

Its text stands first and sees only the text before it, never the picture or the noise level, so that its keys and values depend on the
text alone. ComfyUI keeps them from step to step and puts the picture's tokens behind them; without that store, a block attends the text
first and then the picture. Keys are kept before the attention, where we put the target's, so that what is kept for a prompt is that
prompt's own.
"""

import inspect

from ..family import Family, parameters, refuse_references

NAME = "Qwen-Image 2.1"


def _before(attention, arguments):
    text = arguments["prefix_len"]
    if text == arguments["x"].shape[1]:  # the text alone, to be kept
        return None
    if text and len(inspect.getclosurevars(arguments["attn_fn"]).nonlocals["segments"]) > 2:
        refuse_references(NAME)
    return 1 if text else 0


def _text(counted, picture, keys):
    if keys != counted + picture:
        refuse_references(NAME)
    return slice(0, counted)


FAMILY = Family(
    name="qwen_image21",
    description=NAME,
    classes=("comfy.ldm.qwen_image21.model:QwenImage21Transformer2DModel",),
    layers=("transformer_blocks.*.attn",),
    text=_text,
    counted=("txt_in:0", "img_in:0"),
    evolves=False,
    before=_before,
    text_width=lambda model: model.txt_in.in_layer.in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)
