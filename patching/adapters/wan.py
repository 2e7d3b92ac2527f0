"""Wan 2.1 and 2.2, and what was made of them (VACE, Camera, HuMo, S2V, Animate, SCAIL, WanDancer).

Models with CLIP vision attend the first frame's picture before the text, in the same module. Without that picture such a model reads the
text through the picture's weights as well, which no patch of the text's could follow. VACE's own blocks see the text, too, and run
between the others. Wan Animate 2, which ComfyUI has since 0.33, first runs its blocks over the video that drives the picture, which is a
frame shorter: what they make of it is kept over the steps, and the text that they read there is the source's.
"""

import math
from dataclasses import dataclass

from ..family import ALL, Family, parameters


@dataclass(frozen=True)
class _Wan(Family):
    def found(self, diffusion_model, patterns):
        found = super().found(diffusion_model, patterns)
        between = getattr(diffusion_model, "vace_layers_mapping", None)
        if patterns != self.layers or not between:
            return found
        behind = {f"vace_blocks.{own}.cross_attn": block for block, own in between.items()}
        return sorted(found, key=lambda one: (behind[one[1]], 1) if one[1] in behind else (int(one[1].split(".")[1]), 0))


def _before(attention, arguments):
    grid = arguments.get("transformer_options", {}).get("grid_sizes")
    if grid is not None and arguments["x"].shape[1] < math.prod(grid):
        return None
    if not hasattr(attention, "k_img"):
        return 0
    if arguments.get("context_img_len") is None:
        raise RuntimeError(
            "This Wan model sees its first frame through CLIP vision, and without it reads the text through those weights as well, where "
            "it cannot be patched. Connect clip_vision_output to the node that gives the model its first frame."
        )
    return 1


def _size(model):
    # Of the same width, models for text and for a first frame were trained apart.
    return f"{model.dim}-{model.in_dim}{'' if model.img_emb is None else '+clip'}"


FAMILY = _Wan(
    name="wan",
    description="Wan 2.1 and 2.2 (text and image to video, VACE, Fun, Camera, HuMo, S2V, Animate, SCAIL, WanDancer)",
    classes=("comfy.ldm.wan.model:WanModel",),
    layers=("blocks.*.cross_attn", "vace_blocks.*.cross_attn"),
    text=ALL,
    evolves=False,
    before=_before,
    text_width=lambda model: model.text_dim,
    heads=lambda attention: attention.num_heads,
    size=_size,
    kv=lambda attention: parameters(attention.k) + parameters(attention.v),
    lora=("q", "k", "v", "o"),
)
