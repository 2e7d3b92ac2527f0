"""Flux and the families whose blocks have the names of Flux's."""

import comfy.utils
import diffusers
import torch
from diffusers.loaders import single_file_utils as converters
from text_layers.testing.tiny_models import chroma, flux, hunyuan_image
from text_layers.testing.tiny_models.model import OLD

from .pair import ADDED, OWN, Pair, Text, packed, positions, renamed_keys, tiny, unpacked

JOINT = {"transformer_blocks.*.attn": Text(ADDED)}

SINGLE = {"single_transformer_blocks.*.attn": Text(OWN, "first")}

FLUX = {"depth": 2, "depth_single_blocks": 3, "hidden_size": 32}

HIDDEN = 32

KV = slice(HIDDEN, 3 * HIDDEN)


def flux_transformer(guidance):
    return diffusers.FluxTransformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24,
        pooled_projection_dim=8, guidance_embeds=guidance, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip


def flux_call(theirs, x, t, c):
    text = torch.zeros(c["context"].shape[1], 3)
    guidance = c["guidance"] if theirs.config.guidance_embeds else None
    out = theirs(packed(x), c["context"], c["y"], t, positions(x), text, guidance).sample
    return unpacked(out, x)


def chroma_transformer():
    theirs = diffusers.ChromaTransformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24, axes_dims_rope=(4, 6, 6),
        approximator_num_channels=64, approximator_hidden_dim=16, approximator_layers=2,
    )  # fmt: skip
    # Chroma has 344 modulations, and ComfyUI makes as many for a smaller model.
    theirs.time_text_embed = type(theirs.time_text_embed)(num_channels=16, out_dim=344)
    return theirs


def chroma_keys(theirs):
    """ComfyUI's map of Flux, and Chroma's own network for modulations, which it lacks."""
    names = {"linear_1": "in_layer", "linear_2": "out_layer"}
    if OLD:
        names |= {f"norms.{n}.weight": f"norms.{n}.scale" for n in range(2)}
    return comfy.utils.flux_to_diffusers(FLUX) | renamed_keys(theirs, names, only="distilled_guidance_layer.")


def chroma_call(theirs, x, t, c):
    return unpacked(theirs(packed(x), c["context"], t, positions(x), torch.zeros(c["context"].shape[1], 3)).sample, x)


def flux2_transformer():
    return diffusers.Flux2Transformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24, axes_dims_rope=(4, 4, 4, 4)
    )


def flux2_call(theirs, x, t, c):
    rows, columns = torch.meshgrid(torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing="ij")
    zeros = torch.zeros_like(rows)
    picture = torch.stack([zeros, rows, columns, zeros], -1).flatten(0, 1)
    text = torch.nn.functional.pad(torch.arange(c["context"].shape[1])[:, None], (3, 0))
    out = theirs(x.flatten(2).transpose(1, 2), c["context"], t, picture, text, c["guidance"]).sample
    return out.transpose(1, 2).reshape(x.shape)


def longcat_transformer():
    return diffusers.LongCatImageTransformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=16, num_attention_heads=2, axes_dims_rope=[4, 6, 6]
    )


def longcat_keys(theirs):
    names = {"time_embed.timestep_embedder.linear_1": "time_in.in_layer", "time_embed.timestep_embedder.linear_2": "time_in.out_layer"}
    return comfy.utils.flux_to_diffusers(FLUX) | renamed_keys(theirs, names, only="time_embed.")


def longcat_call(theirs, x, t, c):
    tokens = torch.arange(c["context"].shape[1])
    text = torch.stack([torch.zeros_like(tokens), tokens, tokens], 1)
    picture = positions(x) + torch.tensor([1, len(tokens), len(tokens)])
    return unpacked(theirs(packed(x), c["context"], t, picture, text).sample, x)


def hunyuan_image_transformer():
    return diffusers.HunyuanImageTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, num_layers=2, num_single_layers=3, text_embed_dim=24, text_embed_2_dim=1472,
        rope_axes_dim=(8, 8),
    )  # fmt: skip


def hunyuan_image_keys(theirs):
    """ComfyUI's map of Flux for the blocks, and the names of what makes their input."""
    names = {
        "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
        "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
        "x_embedder": "img_in", "context_embedder_2.norm": "byt5_in.layernorm", "context_embedder_2.linear_": "byt5_in.fc",
        "context_embedder.time_text_embed.timestep_embedder.linear_1": "txt_in.t_embedder.in_layer",
        "context_embedder.time_text_embed.timestep_embedder.linear_2": "txt_in.t_embedder.out_layer",
        "context_embedder.time_text_embed.text_embedder.linear_1": "txt_in.c_embedder.in_layer",
        "context_embedder.time_text_embed.text_embedder.linear_2": "txt_in.c_embedder.out_layer",
        "context_embedder.proj_in": "txt_in.input_embedder",
        "context_embedder.token_refiner.refiner_blocks": "txt_in.individual_token_refiner.blocks",
        "attn.to_out.0": "self_attn.proj", "ff.net.0.proj": "mlp.0", "ff.net.2": "mlp.2", "norm_out.linear": "adaLN_modulation.1",
    }  # fmt: skip
    return comfy.utils.flux_to_diffusers(FLUX) | {
        key: value
        for part in ("time_guidance_embed.", "x_embedder.", "context_embedder")
        for key, value in renamed_keys(theirs, names, part, fused="self_attn.qkv").items()
    }


def hunyuan_image_call(theirs, x, t, c):
    masks = [torch.ones(text.shape[:2]) for text in (c["context"], c["txt_byt5"])]
    return theirs(x, t, c["context"], masks[0], None, c["txt_byt5"], masks[1]).sample


PAIRS = [
    Pair("Flux dev", tiny(flux, "Flux", mlp_ratio=4.0), lambda: flux_transformer(True), comfy.utils.flux_to_diffusers(FLUX), flux_call,
         JOINT | SINGLE),
    Pair("Flux schnell", tiny(flux, "FluxSchnell", mlp_ratio=4.0), lambda: flux_transformer(False), comfy.utils.flux_to_diffusers(FLUX),
         flux_call, JOINT | SINGLE),
    Pair("Chroma", tiny(chroma, "Chroma", mlp_ratio=4.0), chroma_transformer, chroma_keys, chroma_call, JOINT | SINGLE),
    Pair("Flux.2", tiny(flux, "Flux2"), flux2_transformer, None, flux2_call,
         JOINT | {"single_transformer_blocks.*.attn": Text(("to_qkv_mlp_proj",), "first", KV)},
         back=converters.convert_flux2_transformer_checkpoint_to_diffusers),
    Pair("LongCat-Image", tiny(flux, "LongCatImage", mlp_ratio=4.0), longcat_transformer, longcat_keys, longcat_call, JOINT | SINGLE),
    Pair("HunyuanImage 2.1", tiny(hunyuan_image, "HunyuanImage21", mlp_ratio=4.0), hunyuan_image_transformer, hunyuan_image_keys,
         hunyuan_image_call, JOINT | {"single_transformer_blocks.*.attn": Text(OWN, "last")}),
]  # fmt: skip
