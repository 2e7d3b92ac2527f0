"""Families whose picture attends the text alone in layers of their own."""

from functools import partial

import comfy.utils
import diffusers
import torch
from diffusers.loaders import single_file_utils as converters
from text_layers.testing.tiny_models import cascade, cosmos, kandinsky5, pixart, unet

from .pair import OWN, Pair, Text, renamed_keys, tiny

UNET = {"cross_attention_dim": 24, "in_channels": 4, "out_channels": 4}

CROSS = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")


def sd15_unet():
    down, up = CROSS
    return diffusers.UNet2DConditionModel(
        **UNET, block_out_channels=(32, 64, 64, 64), attention_head_dim=8,
        down_block_types=(down, down, down, "DownBlock2D"), up_block_types=("UpBlock2D", up, up, up),
    )  # fmt: skip


def sd15(theirs, x, t, c):
    return theirs(x, t, c["context"]).sample


def sdxl_unet():
    down, up = CROSS
    return diffusers.UNet2DConditionModel(
        **UNET, block_out_channels=(32, 64, 128), attention_head_dim=(1, 1, 2), transformer_layers_per_block=(1, 1, 2),
        use_linear_projection=True, down_block_types=("DownBlock2D", down, down), up_block_types=(up, up, "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=8 + 6 * 256,
    )  # fmt: skip


def sdxl(theirs, x, t, c):
    size = torch.tensor([[x.shape[2] * 8, x.shape[3] * 8]])
    sizes = torch.cat([size, torch.zeros_like(size), size], 1)  # of the picture, of its crop, and the wanted one
    return theirs(x, t, c["context"], added_cond_kwargs={"text_embeds": c["y"][:, :8], "time_ids": sizes}).sample


def pixart_transformer(conditions):
    return diffusers.PixArtTransformer2DModel(
        num_attention_heads=3, attention_head_dim=16, num_layers=3, cross_attention_dim=48, sample_size=64, caption_channels=24,
        interpolation_scale=1, use_additional_conditions=conditions,
    )  # fmt: skip


def pixart_call(theirs, x, t, c):
    size = {"resolution": torch.tensor([x.shape[2:]]) * 8.0, "aspect_ratio": torch.tensor([[x.shape[2] / x.shape[3]]])}
    size = size if theirs.use_additional_conditions else {"resolution": None, "aspect_ratio": None}
    return theirs(x, c["context"], t, size).sample[:, : x.shape[1]]


def kandinsky5_transformer():
    return diffusers.Kandinsky5Transformer3DModel(
        in_visual_dim=16, out_visual_dim=16, in_text_dim=24, in_text_dim2=8, time_dim=16, model_dim=32, ff_dim=48, num_visual_blocks=3,
        axes_dims=(4, 6, 6),
    )  # fmt: skip


def kandinsky5_call(theirs, x, t, c):
    picture = [torch.arange(n) for n in (1, x.shape[2] // 2, x.shape[3] // 2)]
    x = x[:, :, None].movedim(1, -1)  # [B, frames, H, W, C]
    return theirs(x, c["context"], t, c["y"], picture, torch.arange(c["context"].shape[1])).sample.movedim(-1, 1)[:, :, 0]


def cascade_unet():
    return diffusers.StableCascadeUNet(
        conditioning_dim=32, block_out_channels=(32, 32), num_attention_heads=(2, 2), down_num_layers_per_block=(1, 2),
        up_num_layers_per_block=(2, 1), clip_text_in_channels=24, clip_text_pooled_in_channels=24, clip_image_in_channels=768,
        switch_level=(False,),
    )  # fmt: skip


def cascade_call(theirs, x, t, c):
    return theirs(x, t, c["clip_text_pooled"][:, None], c["clip_text"], c["clip_img"]).sample


def cosmos_transformer():
    return diffusers.CosmosTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, num_layers=3, text_embed_dim=24, adaln_lora_dim=8, rope_scale=(1.0, 4.0, 4.0),
        extra_pos_embed_type=None,
    )  # fmt: skip


def cosmos_call(theirs, x, t, c):
    return theirs(x, t, c["context"], padding_mask=torch.zeros(1, 1, *x.shape[3:])).sample


BLOCK = "attentions.*.transformer_blocks.*.attn2"

CROSS_LAYERS = {f"{where}.{BLOCK}": Text(OWN) for where in ("down_blocks.*", "mid_block", "up_blocks.*")}

# diffusers rounds queries and keys of Kandinsky's self-attention to bfloat16, whatever the model's precision.
ROUNDED = 2e-3

PAIRS = [
    Pair("SD 1.5", tiny(unet, "SD15"), sd15_unet, comfy.utils.unet_to_diffusers(unet.TINY_SD15), sd15, CROSS_LAYERS),
    Pair("SDXL", tiny(unet, "SDXL"), sdxl_unet, comfy.utils.unet_to_diffusers(unet.TINY_SDXL), sdxl, CROSS_LAYERS),
    Pair("PixArt alpha", tiny(pixart, "PixArtAlpha", mlp_ratio=4.0), lambda: pixart_transformer(True),
         comfy.utils.pixart_to_diffusers(pixart.PIXART), pixart_call, {"transformer_blocks.*.attn2": Text(OWN)}),
    Pair("PixArt sigma", tiny(pixart, "PixArtSigma", mlp_ratio=4.0), lambda: pixart_transformer(False),
         comfy.utils.pixart_to_diffusers(pixart.PIXART), pixart_call, {"transformer_blocks.*.attn2": Text(OWN)}),
    Pair("Kandinsky 5", tiny(kandinsky5, "Kandinsky5Image"), kandinsky5_transformer, None, kandinsky5_call,
         {"visual_transformer_blocks.*.cross_attention": Text(("to_key", "to_value"))}, back=dict, tolerance=ROUNDED),
    Pair("Stable Cascade", tiny(cascade, "Stable_Cascade_C"), cascade_unet,
         partial(renamed_keys, names={"attention.to_out.0": "attention.attn.out_proj", "attention.to_": "attention.attn.to_"}),
         cascade_call, {f"{where}_blocks.*.*.attention": Text(OWN, "last") for where in ("down", "up")}),
    Pair("Cosmos-Predict2", tiny(cosmos, "CosmosT2IPredict2"), cosmos_transformer, None, cosmos_call,
         {"transformer_blocks.*.attn2": Text(OWN)}, back=converters.convert_cosmos_transformer_checkpoint_to_diffusers),
]  # fmt: skip
