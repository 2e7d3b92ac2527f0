"""Families whose models diffusers has as well: a tiny random model of its class, and ComfyUI's with the same weights.

Weights pass from one to the other by ComfyUI's own key maps for diffusers' checkpoints, or by diffusers' own for ComfyUI's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import comfy.utils
import diffusers
import torch
from text_layers.benchmarks.tiny_models import aura, flux, mmdit, model, pixart, qwen_image, unet

# Of a prediction's largest value. The embedding of the noise level has angles of up to 1000, which float32 rounds by 6e-5, and the two
# implementations round them at different places: up to 7e-6 of their predictions.
TOLERANCE = 2e-5

# Of ComfyUI's weights, those that training alone needs: PixArt's text for a dropped prompt.
UNUSED = {"y_embedder.y_embedding"}


class Text(NamedTuple):
    """Where diffusers' attention module has the text's keys and values: in "all", the "first" or the "last" tokens that its projections
    give, and there in some columns."""

    projections: tuple[str, ...]
    place: str = "all"
    columns: slice = slice(None)


@dataclass(frozen=True)
class Pair:
    """ours: the model in ComfyUI. theirs: makes diffusers'.

    keys: diffusers' key -> ComfyUI's as comfy.utils has it, or back: a function (ComfyUI's state dict) -> diffusers'.
    call(theirs, x, t, c): diffusers' prediction, in the shape of ComfyUI's, for the arguments that ComfyUI gave its diffusion model.
    layers: pattern of the paths of diffusers' attention modules on text, `*` for a number -> Text. What one layer's patch changes is at
    least a hundred times the tolerance.
    """

    name: str
    ours: model.TinyModel
    theirs: Callable
    keys: dict | None
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
            result = diffusion_model.load_state_dict(converted(theirs.state_dict(), self.keys), strict=False)
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


def sd15(theirs, x, t, c):
    return theirs(x, t, c["context"]).sample


def sdxl(theirs, x, t, c):
    size = torch.tensor([[x.shape[2] * 8, x.shape[3] * 8]])
    sizes = torch.cat([size, torch.zeros_like(size), size], 1)  # of the picture, of its crop, and the wanted one
    return theirs(x, t, c["context"], added_cond_kwargs={"text_embeds": c["y"][:, :8], "time_ids": sizes}).sample


def sd3(theirs, x, t, c):
    return theirs(x, c["context"], c["y"], t).sample


def flux_call(theirs, x, t, c):
    text = torch.zeros(c["context"].shape[1], 3)
    guidance = c["guidance"] if theirs.config.guidance_embeds else None
    out = theirs(packed(x), c["context"], c["y"], t, positions(x), text, guidance).sample
    return unpacked(out, x)


def qwen(theirs, x, t, c):
    picture = x[:, :, 0]
    shapes = [[(1, picture.shape[2] // 2, picture.shape[3] // 2)]]
    out = theirs(packed(picture), c["context"], torch.ones(c["context"].shape[:2], dtype=torch.bool), t, shapes).sample
    return unpacked(out, picture)[:, :, None]


def pixart_call(theirs, x, t, c):
    size = {"resolution": torch.tensor([x.shape[2:]]) * 8.0, "aspect_ratio": torch.tensor([[x.shape[2] / x.shape[3]]])}
    size = size if theirs.use_additional_conditions else {"resolution": None, "aspect_ratio": None}
    return theirs(x, c["context"], t, size).sample[:, : x.shape[1]]


def aura_call(theirs, x, t, c):
    return theirs(x, c["context"], t).sample


UNET = {"cross_attention_dim": 24, "in_channels": 4, "out_channels": 4}
CROSS = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")


def sd15_unet():
    down, up = CROSS
    return diffusers.UNet2DConditionModel(
        **UNET, block_out_channels=(32, 64, 64, 64), attention_head_dim=8,
        down_block_types=(down, down, down, "DownBlock2D"), up_block_types=("UpBlock2D", up, up, up),
    )  # fmt: skip


def sdxl_unet():
    down, up = CROSS
    return diffusers.UNet2DConditionModel(
        **UNET, block_out_channels=(32, 64, 128), attention_head_dim=(1, 1, 2), transformer_layers_per_block=(1, 1, 2),
        use_linear_projection=True, down_block_types=("DownBlock2D", down, down), up_block_types=(up, up, "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=8 + 6 * 256,
    )  # fmt: skip


def sd3_transformer(**more):
    return diffusers.SD3Transformer2DModel(
        sample_size=16, num_layers=3, num_attention_heads=3, joint_attention_dim=24, caption_projection_dim=192,
        pooled_projection_dim=8, pos_embed_max_size=16, **more,
    )  # fmt: skip


def flux_transformer(guidance):
    return diffusers.FluxTransformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24,
        pooled_projection_dim=8, guidance_embeds=guidance, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip


def qwen_transformer():
    return diffusers.QwenImageTransformer2DModel(
        num_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24, axes_dims_rope=(4, 6, 6)
    )


def pixart_transformer(conditions):
    return diffusers.PixArtTransformer2DModel(
        num_attention_heads=3, attention_head_dim=16, num_layers=3, cross_attention_dim=48, sample_size=64, caption_channels=24,
        interpolation_scale=1, use_additional_conditions=conditions,
    )  # fmt: skip


def aura_transformer():
    return diffusers.AuraFlowTransformer2DModel(
        sample_size=8, num_mmdit_layers=2, num_single_dit_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24,
        caption_projection_dim=32, pos_embed_max_size=64,
    )  # fmt: skip


def tiny(models, kind, number=0, **config):
    """One of benchmarks/tiny_models, with another configuration where diffusers' class has a fixed one."""
    ours = [m for m in models.MODELS if m.kind == kind][number]
    return replace(ours, config=ours.config | config)


# ComfyUI's map for SD3 has 64 channels a block.
SD3 = {"depth": 3, "num_blocks": 3, "pos_embed_max_size": 16, "num_patches": 256,
       "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 24, "out_features": 192}}}  # fmt: skip
FLUX = {"depth": 2, "depth_single_blocks": 3, "hidden_size": 32}
OWN, ADDED = ("to_k", "to_v"), ("add_k_proj", "add_v_proj")
BLOCK = "attentions.*.transformer_blocks.*.attn2"
CROSS_LAYERS = {f"{where}.{BLOCK}": Text(OWN) for where in ("down_blocks.*", "mid_block", "up_blocks.*")}
JOINT = {"transformer_blocks.*.attn": Text(ADDED)}
SINGLE = {"single_transformer_blocks.*.attn": Text(OWN, "first")}

PAIRS = [
    Pair("SD 1.5", tiny(unet, "SD15"), sd15_unet, comfy.utils.unet_to_diffusers(unet.TINY_SD15), sd15, CROSS_LAYERS),
    Pair("SDXL", tiny(unet, "SDXL"), sdxl_unet, comfy.utils.unet_to_diffusers(unet.TINY_SDXL), sdxl, CROSS_LAYERS),
    Pair("SD3", tiny(mmdit, "SD3", **SD3), sd3_transformer, comfy.utils.mmdit_to_diffusers(SD3), sd3, JOINT),
    Pair("SD3.5 medium", tiny(mmdit, "SD3", 1, **SD3), lambda: sd3_transformer(qk_norm="rms_norm", dual_attention_layers=(0, 1)),
         comfy.utils.mmdit_to_diffusers(SD3), sd3, JOINT),
    Pair("Flux dev", tiny(flux, "Flux", mlp_ratio=4.0), lambda: flux_transformer(True), comfy.utils.flux_to_diffusers(FLUX), flux_call,
         JOINT | SINGLE),
    Pair("Flux schnell", tiny(flux, "FluxSchnell", mlp_ratio=4.0), lambda: flux_transformer(False), comfy.utils.flux_to_diffusers(FLUX),
         flux_call, JOINT | SINGLE),
    Pair("Qwen-Image", tiny(qwen_image, "QwenImage"), qwen_transformer, None, qwen, JOINT, back=dict),
    Pair("PixArt alpha", tiny(pixart, "PixArtAlpha", mlp_ratio=4.0), lambda: pixart_transformer(True),
         comfy.utils.pixart_to_diffusers(pixart.PIXART), pixart_call, {"transformer_blocks.*.attn2": Text(OWN)}),
    Pair("PixArt sigma", tiny(pixart, "PixArtSigma", mlp_ratio=4.0), lambda: pixart_transformer(False),
         comfy.utils.pixart_to_diffusers(pixart.PIXART), pixart_call, {"transformer_blocks.*.attn2": Text(OWN)}),
    Pair("AuraFlow", tiny(aura, "AuraFlow"), aura_transformer, comfy.utils.auraflow_to_diffusers(aura.AURA), aura_call,
         {"joint_transformer_blocks.*.attn": Text(ADDED)} | SINGLE),
]  # fmt: skip
