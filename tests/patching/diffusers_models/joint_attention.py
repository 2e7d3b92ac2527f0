"""Other families whose picture and text attend each other."""

from dataclasses import replace
from functools import partial

import comfy.utils
import diffusers
import torch
from diffusers.loaders import single_file_utils as converters
from diffusers.models.transformers import transformer_ideogram4
from text_layers.testing.tiny_models import aura, ernie, hidream, ideogram4, joyimage, krea2, lumina, mmdit, qwen_image

from .flux import JOINT, KV, SINGLE
from .pair import ADDED, OWN, Pair, Text, packed, positions, renamed_keys, tiny, unpacked


def sd3_transformer(**more):
    return diffusers.SD3Transformer2DModel(
        sample_size=16, num_layers=3, num_attention_heads=3, joint_attention_dim=24, caption_projection_dim=192,
        pooled_projection_dim=8, pos_embed_max_size=16, **more,
    )  # fmt: skip


def sd3(theirs, x, t, c):
    return theirs(x, c["context"], c["y"], t).sample


def qwen_transformer():
    return diffusers.QwenImageTransformer2DModel(
        num_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24, axes_dims_rope=(4, 6, 6)
    )


def qwen(theirs, x, t, c):
    picture = x[:, :, 0]
    shapes = [[(1, picture.shape[2] // 2, picture.shape[3] // 2)]]
    out = theirs(packed(picture), c["context"], torch.ones(c["context"].shape[:2], dtype=torch.bool), t, shapes).sample
    return unpacked(out, picture)[:, :, None]


def aura_transformer():
    return diffusers.AuraFlowTransformer2DModel(
        sample_size=8, num_mmdit_layers=2, num_single_dit_layers=3, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=24,
        caption_projection_dim=32, pos_embed_max_size=64,
    )  # fmt: skip


def aura_call(theirs, x, t, c):
    return theirs(x, c["context"], t).sample


def lumina2_transformer():
    return diffusers.Lumina2Transformer2DModel(
        hidden_size=96, num_layers=3, num_attention_heads=6, num_kv_heads=2, axes_dim_rope=(4, 6, 6), cap_feat_dim=24
    )


def lumina2_state(state):
    """diffusers' converter knows one size of queries, keys and values."""
    fused = {key: state.pop(key) for key in list(state) if ".qkv." in key}
    split = converters.convert_lumina2_to_diffusers(state)
    for key, value in fused.items():
        split |= {key.replace("attention.qkv", f"attn.to_{part}"): v for part, v in zip("qkv", value.split([96, 32, 32]), strict=True)}
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


def ideogram4_transformer():
    return diffusers.Ideogram4Transformer2DModel(
        num_layers=3, attention_head_dim=16, num_attention_heads=2, intermediate_size=48, adaln_dim=8, llm_features_dim=24,
        mrope_section=(4, 2, 2),
    )  # fmt: skip


def ideogram4_call(theirs, x, t, c):
    tokens, (_, _, height, width) = c["context"].shape[1], x.shape
    picture = x.unflatten(1, (-1, 2, 2)).permute(0, 4, 5, 2, 3, 1).flatten(3).flatten(1, 2)  # channels last, in each of 2 x 2
    size = picture.shape[1]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([torch.zeros_like(rows), rows, columns], -1).flatten(0, 1) + transformer_ideogram4.IMAGE_POSITION_OFFSET
    places = torch.cat([torch.arange(tokens)[:, None].expand(tokens, 3), places])[None]
    roles = transformer_ideogram4.LLM_TOKEN_INDICATOR, transformer_ideogram4.OUTPUT_IMAGE_INDICATOR
    role = torch.tensor([[roles[0]] * tokens + [roles[1]] * size])
    pad = torch.nn.functional.pad
    out = theirs(pad(picture, (0, 0, tokens, 0)), 1 - t, pad(c["context"], (0, 0, 0, size)), places, torch.ones_like(role), role).sample
    return -out[:, tokens:].unflatten(1, (height, width)).unflatten(3, (2, 2, -1)).permute(0, 5, 3, 4, 1, 2).reshape(x.shape)


# ComfyUI's map for SD3 has 64 channels a block.
SD3 = {"depth": 3, "num_blocks": 3, "pos_embed_max_size": 16, "num_patches": 256,
       "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 24, "out_features": 192}}}  # fmt: skip

# ComfyUI rounds the width between to a multiple of 256, diffusers does not.
Z_IMAGE = {"dim": 384, "n_heads": 12, "n_kv_heads": 12}

PAIRS = [
    Pair("SD3", tiny(mmdit, "SD3", **SD3), sd3_transformer, comfy.utils.mmdit_to_diffusers(SD3), sd3, JOINT),
    Pair("SD3.5 medium", tiny(mmdit, "SD3", 1, **SD3), lambda: sd3_transformer(qk_norm="rms_norm", dual_attention_layers=(0, 1)),
         comfy.utils.mmdit_to_diffusers(SD3), sd3, JOINT),
    Pair("Qwen-Image", tiny(qwen_image, "QwenImage"), qwen_transformer, None, qwen, JOINT, back=dict),
    Pair("AuraFlow", tiny(aura, "AuraFlow"), aura_transformer, comfy.utils.auraflow_to_diffusers(aura.AURA), aura_call,
         {"joint_transformer_blocks.*.attn": Text(ADDED)} | SINGLE),
    Pair("Lumina 2", tiny(lumina, "Lumina2"), lumina2_transformer, None, lumina2_call, {"layers.*.attn": Text(OWN, "first")},
         back=lumina2_state),
    Pair("Z-Image", tiny(lumina, "ZImage", **Z_IMAGE), z_image_transformer,
         lambda theirs: comfy.utils.z_image_to_diffusers(lumina.Z_IMAGE | Z_IMAGE), z_image_call,
         {"layers.*.attention": Text(OWN, "last")}),
    Pair("HiDream", replace(tiny(hidream, "HiDream"), latent=(16, 8, 8)), hidream_transformer, None, hidream_call,
         {"double_stream_blocks.*.block.attn1": Text(("to_k_t", "to_v_t")), "single_stream_blocks.*.block.attn1": Text(OWN, "last")},
         back=converters.convert_hidream_transformer_to_diffusers),
    Pair("Ernie-Image", tiny(ernie, "ErnieImage"), ernie_transformer, None, ernie_call, {"layers.*.self_attention": Text(OWN, "last")},
         back=converters.convert_ernie_image_transformer_checkpoint_to_diffusers),
    Pair("Krea 2", tiny(krea2, "Krea2"), krea2_transformer, None, krea2_call, {"transformer_blocks.*.attn": Text(OWN, "first")},
         back=converters.convert_krea2_transformer_checkpoint_to_diffusers),
    Pair("JoyImage", tiny(joyimage, "JoyImage"), joyimage_transformer, None, joyimage_call,
         {"double_blocks.*.attn": Text(("txt_attn_qkv",), columns=KV)}, back=dict),
    Pair("Ideogram 4", tiny(ideogram4, "Ideogram4"), ideogram4_transformer,
         partial(renamed_keys, names={"attention.to_out.0": "attention.o"}, fused="attention.qkv"), ideogram4_call,
         {"layers.*.attention": Text(OWN, "first")}),
]  # fmt: skip
