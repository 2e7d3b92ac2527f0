"""U-Nets with cross-attention (SD 1.x, SD 2.x, SDXL): text layers are the `attn2` of every transformer block.

Their text keys and values depend on the text alone, so the target's embeddings are given to the chosen layers' own to_k and
to_v (injection); no run of the target is needed. [Staniszewski et al., section 4.1]
"""

import math
import re

import torch

from ..attention import HeadSwap
from ..family import ALL, Family, parameters

_ATTN2 = re.compile(r"(input|middle|output)_blocks?\.(?:(\d+)\.)?\d+\.transformer_blocks\.(\d+)\.attn2")


class UNet(Family):
    injects = True

    def owns(self, diffusion_model):
        return super().owns(diffusion_model) and bool(self.layer_names(diffusion_model))

    def modules(self, diffusion_model, patterns):
        # In execution order, which is the order of ComfyUI's UNetModel's modules.
        return {name: _own(module) for name, module in diffusion_model.named_modules() if _ATTN2.fullmatch(name)}

    def inject(self, transformer_options, layers, rows):
        return inject(transformer_options, layers, rows)


FAMILY = UNet(
    name="unet",
    description="U-Nets with cross-attention (SD 1.x, SD 2.x, SDXL and their kin)",
    classes=("comfy.ldm.modules.diffusionmodules.openaimodel:UNetModel",),
    layers=("*_blocks.*.*.transformer_blocks.*.attn2",),
    text=ALL,
    evolves=False,
    text_width=lambda model: next(iter(FAMILY.modules(model, FAMILY.layers).values())).to_k.in_features,
    heads=lambda attention: attention.heads,
    kv=lambda attention: parameters(attention.to_k) + parameters(attention.to_v),
    lora=("to_q", "to_k", "to_v", "to_out.0"),
)


def _own(module):
    """The model's attention, inside of one that another node has put there (Layer Diffusion), which stays while the model is loaded."""
    if hasattr(module, "to_k"):
        return module
    parts = [part for value in vars(module).values() for part in (value if isinstance(value, (list, tuple)) else [value])]
    return next((part for part in parts if hasattr(part, "to_k")), module)


def _place(name):
    """Module path -> (block, number of its transformer block), as ComfyUI tells a patch where it is."""
    kind, number, index = _ATTN2.fullmatch(name).groups()
    return (kind, int(number or 0)), int(index)


def inject(transformer_options, layers, rows):
    """Options for one model call in which the chosen layers see the target's embeddings.

    layers: layer name -> heads, None for all. rows: [(slice of batch rows, embeddings [n, tokens, channels])]; rows outside
    every slice keep their own.
    """
    places = {_place(name): heads for name, heads in layers.items()}
    head_swap = HeadSwap(transformer_options.get("optimized_attention_override"))

    def attn2_patch(queries, context, value, extra_options):
        place = (tuple(extra_options["block"][:2]), extra_options["block_index"])
        if place not in places:
            return queries, context, value
        target = _with_rows(context, rows)
        heads = places[place]
        if heads is None:
            return queries, target, target
        # Keys and values of both prompts are projected side by side; the attention function picks them apart by head.
        head_swap.expect(heads, context.shape[1])
        both = torch.cat([context, target], 1)
        return queries, both, both

    options = transformer_options.copy()
    options["patches"] = {**options.get("patches", {})}
    # First, so that what other nodes do to the text (hypernetworks, regional prompts) is done to the target's as well.
    options["patches"]["attn2_patch"] = [attn2_patch, *options["patches"].get("attn2_patch", [])]
    by_head = [place for place, heads in places.items() if heads is not None]
    if by_head:
        replaced = options.get("patches_replace", {}).get("attn2", {})
        for block, index in by_head:
            if block in replaced or (*block, index) in replaced:
                raise ValueError(
                    f"Another node has replaced the cross-attention of {block[0]} block {block[1]} (IPAdapter works this way), "
                    "so that single heads cannot be patched there. Choose whole layers, or remove the other node."
                )
        options["optimized_attention_override"] = head_swap
    return options


def _with_rows(context, rows):
    """context [B, tokens, channels] with some rows replaced. Prompts of different length are repeated to the least common
    multiple: attention over repeated keys and values is unchanged."""
    tokens = math.lcm(context.shape[1], *(e.shape[1] for _, e in rows))
    if sum(r.stop - r.start for r, _ in rows) == len(context):
        tokens = math.lcm(*(e.shape[1] for _, e in rows))
        out = context.new_empty(len(context), tokens, context.shape[2])
    else:
        out = _repeated(context, tokens).clone()
    for where, embeddings in rows:
        out[where] = _repeated(embeddings, tokens).to(out)
    return out


def _repeated(embeddings, tokens):
    return embeddings.repeat(1, max(1, math.lcm(tokens, embeddings.shape[1]) // embeddings.shape[1]), 1)
