"""A tiny random model of diffusers' class, and ComfyUI's with the same weights.

Weights pass from one to the other by ComfyUI's own key maps for diffusers' checkpoints, by diffusers' own converters for ComfyUI's, or,
where neither has them, by the names of modules.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from text_layers.testing.tiny_models import model

# Of a prediction's largest value. The embedding of the noise level has angles of up to 1000, which float32 rounds by 6e-5, and the two
# implementations round them at different places: up to 7e-6 of their predictions.
TOLERANCE = 2e-5

# Of ComfyUI's weights, those that a prediction does without: PixArt's text for a dropped prompt, and a norm of Z-Image in ComfyUI 0.3.
UNUSED = {"y_embedder.y_embedding", "norm_final.weight"}

OWN, ADDED = ("to_k", "to_v"), ("add_k_proj", "add_v_proj")


class Text(NamedTuple):
    """Where diffusers' attention module has the text's keys and values: in "all", the "first" or the "last" tokens that its projections
    give (but for as many others as the tiny model's `behind` says), and there in some columns."""

    projections: tuple[str, ...]
    place: str = "all"
    columns: slice = slice(None)


@dataclass(frozen=True)
class Pair:
    """ours: the model in ComfyUI. theirs: makes diffusers'.

    keys: diffusers' key -> ComfyUI's as comfy.utils has it, or a function (diffusers' model) -> these. Without them, back: a function
    (ComfyUI's state dict) -> diffusers'.
    call(theirs, x, t, c): diffusers' prediction, in the shape of ComfyUI's, for the arguments that ComfyUI gave its diffusion model.
    layers: pattern of the paths of diffusers' attention modules on text, `*` for a number -> Text. What one layer's patch changes is at
    least a hundred times the tolerance.
    """

    name: str
    ours: model.TinyModel
    theirs: Callable
    keys: dict | Callable | None
    call: Callable
    layers: dict[str, Text]
    back: Callable | None = None
    tolerance: float = TOLERANCE

    def build(self):
        """(ComfyUI's MODEL, diffusers' model), with the same random weights."""
        ours, theirs = self.ours.build(), self.theirs().eval().requires_grad_(False)
        diffusion_model = ours.model.diffusion_model
        if self.back:
            theirs.load_state_dict(self.back({k: v.clone() for k, v in diffusion_model.state_dict().items()}), strict=True)
        else:
            model.fill(theirs)
            keys = self.keys(theirs) if callable(self.keys) else self.keys
            result = diffusion_model.load_state_dict(converted(theirs.state_dict(), keys), strict=False)
            assert not result.unexpected_keys and set(result.missing_keys) <= UNUSED
        return ours, theirs


def converted(state, keys):
    """keys: as comfy.utils' maps, diffusers' key -> ComfyUI's, or (ComfyUI's, (axis, start, length) or None, function)."""
    found, parts = {}, {}
    for key, value in state.items():
        name, where, change = (keys[key], None, None) if isinstance(keys[key], str) else (*keys[key], None)[:3]
        value = change(value) if change else value
        if where is None:
            found[name] = value
        else:
            parts.setdefault(name, []).append((where[1], value))
    return found | {name: torch.cat([v for _, v in sorted(ps, key=lambda part: part[0])]) for name, ps in parts.items()}


def renamed_keys(theirs, names, only="", fused=""):
    """Key map of the weights that begin with `only`. fused: name of ComfyUI's module for an attention's to_q, to_k and to_v together."""
    keys = {}
    for key, value in theirs.state_dict().items():
        if not key.startswith(only):
            continue
        name = key
        for old, new in names.items():
            name = name.replace(old, new)
        part = re.search(r"(attn|attention)\.to_([qkv])", name)
        if fused and part:
            name = (name.replace(part[0], fused), (0, "qkv".index(part[2]) * len(value), len(value)))
        keys[key] = name
    return keys


def tiny(models, kind, number=0, **config):
    """One of testing/tiny_models, with another configuration where diffusers' class has a fixed one."""
    ours = [m for m in models.MODELS if m.kind == kind][number]
    return replace(ours, config=ours.config | config)


def packed(x):
    """[B, C, H, W] -> [B, H/2 * W/2, 4 C]"""
    return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpacked(x, like):
    b, c, h, w = like.shape
    return x.reshape(b, h // 2, w // 2, c, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(like.shape)


def positions(x):
    """(row, column) of a picture's tokens, as (0, row, column)."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[2] // 2), torch.arange(x.shape[3] // 2), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).flatten(0, 1)
