"""More of diffusers_models: those whose weights diffusers takes from ComfyUI's files, by its own converters or as they are."""

from dataclasses import replace

import comfy.utils
import diffusers
import torch
from diffusers.loaders import single_file_utils as converters
from text_layers.benchmarks.tiny_models import chroma, ernie, flux, hidream, joyimage, kandinsky5, krea2, lumina

from .diffusers_models import FLUX, JOINT, OWN, SINGLE, Pair, Text, packed, positions, tiny, unpacked


def chroma_transformer():
    theirs = diffusers.ChromaTransformer2DModel(
        num_layers=2, num_single_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24, axes_dims_rope=(4, 6, 6),
        approximator_num_channels=64, approximator_hidden_dim=16, approximator_layers=2,
    )  # fmt: skip
    # Chroma has 344 modulations, and ComfyUI makes as many for a smaller model.
    theirs.time_text_embed = type(theirs.time_text_embed)(num_channels=16, out_dim=344)
    return theirs


def chroma_keys():
    """ComfyUI's map of Flux, and Chroma's own network for modulations, which it lacks."""
    renamed = {"linear_1": "in_layer", "linear_2": "out_layer"}
    keys = comfy.utils.flux_to_diffusers(FLUX)
    for key in chroma_transformer().state_dict():
        if key.startswith("distilled_guidance_layer."):
            keys[key] = ".".join(renamed.get(part, part) for part in key.split("."))
    return keys


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


def lumina2_transformer():
    return diffusers.Lumina2Transformer2DModel(
        hidden_size=96, num_layers=3, num_attention_heads=6, num_kv_heads=2, axes_dim_rope=(4, 6, 6), cap_feat_dim=24
    )


def lumina2_state(state):
    """diffusers' converter knows one size of queries, keys and values."""
    fused = {key: state.pop(key) for key in list(state) if ".qkv." in key}
    split = converters.convert_lumina2_to_diffusers(state)
    for key, value in fused.items():
        split |= {key.replace("attention.qkv", f"attn.to_{part}"): v for part, v in zip("qkv", value.split([96, 32, 32]))}
    return split


def lumina2_call(theirs, x, t, c):
    return -theirs(x, 1 - t, c["context"], torch.ones(c["context"].shape[:2], dtype=torch.bool)).sample


def z_image_transformer():
    theirs = diffusers.ZImageTransformer2DModel(
        dim=384, n_layers=3, n_heads=12, n_kv_heads=12, cap_feat_dim=24, axes_dims=[8, 12, 12], axes_lens=[1536, 512, 512]
    )
    # As wide as the model where that is small, in ComfyUI.
    theirs.t_embedder = type(theirs.t_embedder)(256, mid_size=384)
    return theirs


def z_image_call(theirs, x, t, c):
    return -torch.stack(theirs(list(x[:, :, None]), 1 - t, list(c["context"])).sample)[:, :, 0]


def hidream_transformer():
    config = {key: value for key, value in hidream.HIDREAM.items() if key != "image_model"}
    return diffusers.HiDreamImageTransformer2DModel(**config, force_inference_output=True)


def hidream_call(theirs, x, t, c):
    return -theirs(x, t, c["context"], c["encoder_hidden_states_llama3"].movedim(1, 0), c["y"]).sample


def kandinsky5_transformer():
    return diffusers.Kandinsky5Transformer3DModel(
        in_visual_dim=16, out_visual_dim=16, in_text_dim=24, in_text_dim2=8, time_dim=16, model_dim=32, ff_dim=48, num_visual_blocks=3,
        axes_dims=(4, 6, 6),
    )  # fmt: skip


def kandinsky5_call(theirs, x, t, c):
    picture = [torch.arange(n) for n in (1, x.shape[2] // 2, x.shape[3] // 2)]
    x = x[:, :, None].movedim(1, -1)  # [B, frames, H, W, C]
    return theirs(x, c["context"], t, c["y"], picture, torch.arange(c["context"].shape[1])).sample.movedim(-1, 1)[:, :, 0]


def ernie_transformer():
    return diffusers.ErnieImageTransformer2DModel(
        hidden_size=32, num_attention_heads=2, num_layers=4, ffn_hidden_size=48, text_in_dim=24, rope_axes_dim=(4, 6, 6)
    )


def ernie_call(theirs, x, t, c):
    return theirs(x, t, c["context"], torch.tensor([c["context"].shape[1]])).sample


def krea2_transformer():
    return diffusers.Krea2Transformer2DModel(
        num_layers=3, attention_head_dim=16, num_attention_heads=4, num_key_value_heads=2, intermediate_size=256, text_hidden_dim=8,
        num_text_layers=3, text_num_attention_heads=2, text_num_key_value_heads=2, text_intermediate_size=128, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip


def krea2_call(theirs, x, t, c):
    picture = x[:, :, 0]
    places = torch.cat([torch.zeros(c["context"].shape[1], 3), positions(picture)])
    return unpacked(theirs(packed(picture), c["context"].unflatten(2, (3, -1)), t, places).sample, picture)[:, :, None]


def joyimage_transformer():
    return diffusers.JoyImageEditTransformer3DModel(
        hidden_size=32, num_attention_heads=2, text_dim=24, num_layers=3, rope_dim_list=[4, 6, 6], theta=10000
    )


def joyimage_call(theirs, x, t, c):
    return theirs(x, t, c["context"]).sample


HIDDEN = 32
KV = slice(HIDDEN, 3 * HIDDEN)

# ComfyUI rounds the width between to a multiple of 256, diffusers does not.
Z_IMAGE = {"dim": 384, "n_heads": 12, "n_kv_heads": 12}

# diffusers rounds queries and keys of Kandinsky's self-attention to bfloat16, whatever the model's precision.
ROUNDED = 2e-3

PAIRS = [
    Pair("Chroma", tiny(chroma, "Chroma", mlp_ratio=4.0), chroma_transformer, chroma_keys(), chroma_call, JOINT | SINGLE),
    Pair("Flux.2", tiny(flux, "Flux2"), flux2_transformer, None, flux2_call,
         JOINT | {"single_transformer_blocks.*.attn": Text(("to_qkv_mlp_proj",), "first", KV)},
         back=converters.convert_flux2_transformer_checkpoint_to_diffusers),
    Pair("Lumina 2", tiny(lumina, "Lumina2"), lumina2_transformer, None, lumina2_call, {"layers.*.attn": Text(OWN, "first")},
         back=lumina2_state),
    Pair("Z-Image", tiny(lumina, "ZImage", **Z_IMAGE), z_image_transformer,
         comfy.utils.z_image_to_diffusers(lumina.Z_IMAGE | Z_IMAGE), z_image_call, {"layers.*.attention": Text(OWN, "last")}),
    Pair("HiDream", replace(tiny(hidream, "HiDream"), latent=(16, 8, 8)), hidream_transformer, None, hidream_call,
         {"double_stream_blocks.*.block.attn1": Text(("to_k_t", "to_v_t")), "single_stream_blocks.*.block.attn1": Text(OWN, "last")},
         back=converters.convert_hidream_transformer_to_diffusers),
    Pair("Kandinsky 5", tiny(kandinsky5, "Kandinsky5Image"), kandinsky5_transformer, None, kandinsky5_call,
         {"visual_transformer_blocks.*.cross_attention": Text(("to_key", "to_value"))}, back=dict, tolerance=ROUNDED),
    Pair("Ernie-Image", tiny(ernie, "ErnieImage"), ernie_transformer, None, ernie_call, {"layers.*.self_attention": Text(OWN, "last")},
         back=converters.convert_ernie_image_transformer_checkpoint_to_diffusers),
    Pair("Krea 2", tiny(krea2, "Krea2"), krea2_transformer, None, krea2_call, {"transformer_blocks.*.attn": Text(OWN, "first")},
         back=converters.convert_krea2_transformer_checkpoint_to_diffusers),
    Pair("JoyImage", tiny(joyimage, "JoyImage"), joyimage_transformer, None, joyimage_call,
         {"double_blocks.*.attn": Text(("txt_attn_qkv",), columns=KV)}, back=dict),
]  # fmt: skip
