"""HunyuanImage 2.1, and the text-to-video models that have its diffusion model."""

from .model import OLD, TinyModel

VIDEO = {
    "image_model": "hunyuan_video", "in_channels": 16, "out_channels": 16, "patch_size": [1, 2, 2], "vec_in_dim": 8, "context_in_dim": 24,
    "hidden_size": 32, "mlp_ratio": 2.0, "num_heads": 2, "depth": 2, "depth_single_blocks": 3, "axes_dim": [4, 6, 6], "theta": 256,
    "qkv_bias": True, "guidance_embed": True, "byt5": False, "meanflow": False, "use_cond_type_embedding": False, "vision_in_dim": None,
    "meanflow_sum": False,
}  # fmt: skip
VIDEO_FULL = VIDEO | {
    "vec_in_dim": 768, "context_in_dim": 4096, "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": 20,
    "depth_single_blocks": 40, "axes_dim": [16, 56, 56],
}  # fmt: skip

IMAGE = {"in_channels": 64, "out_channels": 64, "patch_size": [1, 1], "vec_in_dim": None, "guidance_embed": False, "byt5": True}
IMAGE_FULL = IMAGE | {"context_in_dim": 3584, "hidden_size": 3584, "num_heads": 28, "axes_dim": [64, 64]}

# All blocks are double ones. Of its channels, half and one are for a first frame, which text to video does without.
VIDEO_15 = {
    "in_channels": 65, "out_channels": 32, "patch_size": [1, 1, 1], "vec_in_dim": None, "guidance_embed": False, "byt5": True,
    "use_cond_type_embedding": True, "vision_in_dim": 1152, "meanflow_sum": True, "depth_single_blocks": 0,
}  # fmt: skip
VIDEO_15_FULL = VIDEO_15 | {"context_in_dim": 3584, "hidden_size": 2048, "num_heads": 16, "depth": 54}


# They make a larger video, or a sharper picture, of one whose latents are given.
LARGER = {"in_channels": 98, "meanflow": True}
REFINER = {"in_channels": 128, "out_channels": 64, "patch_size": [1, 1, 1], "vec_in_dim": None}


def quoted(tokens):
    """Tokens of quoted text: some prompts have none."""
    return max(0, tokens - 9)


def with_quoted(tokens):
    return tokens + quoted(tokens)


def byt5(random, tokens):
    letters = {"conditioning_byt5small": random(1, quoted(tokens), 1472)} if quoted(tokens) else {}
    return {"pooled_output": None, **letters}


# ComfyUI 0.3 has the text behind the picture.
VERSION = {"place": "last" if OLD else "first", "newer": ("meanflow_sum",)}


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


def guidance(random, number):
    return {"guidance": 1.0 + 3 * number}


def first_frame(random, number):
    return {"guidance": 1.0 + 3 * number, "concat_latent_image": random(1, 16, 2, 6, 8), "concat_mask": (random(1, 1, 2, 6, 8) > 0).float()}


def small_video(random, number):
    return {"concat_latent_image": random(1, 66, 2, 3, 4), "noise_augmentation": 0.0}


def small_picture(random, number):
    return {"concat_latent_image": random(1, 32, 3, 3, 4), "guidance": 1.0 + 3 * number}


MODELS = [
    TinyModel("HunyuanImage21", "hunyuan_image", VIDEO | IMAGE | {"axes_dim": [8, 8]}, (64, 4, 6), 24, picture=24, layers=5,
              text=with_quoted, extra=byt5, models="HunyuanImage 2.1", full=VIDEO_FULL | IMAGE_FULL, full_layers=60, **VERSION),
    TinyModel("HunyuanVideo", "hunyuan_image", VIDEO, (16, 2, 6, 8), 24, picture=24, layers=5, extra=pooled, beside=guidance,
              models="HunyuanVideo", full=VIDEO_FULL, full_layers=60, **VERSION),
    TinyModel("HunyuanVideo15", "hunyuan_image", VIDEO | VIDEO_15 | {"depth": 4}, (32, 2, 3, 4), 24, picture=24, layers=4, text=with_quoted,
              extra=byt5, models="HunyuanVideo 1.5", full=VIDEO_FULL | VIDEO_15_FULL, full_layers=54, **VERSION),
    TinyModel("HunyuanVideoI2V", "hunyuan_image", VIDEO | {"in_channels": 33}, (16, 2, 6, 8), 24, picture=24, layers=5, extra=pooled,
              beside=first_frame, models="HunyuanVideo image to video", full=VIDEO_FULL | {"in_channels": 33}, full_layers=60, **VERSION),
    TinyModel("HunyuanVideoSkyreelsI2V", "hunyuan_image", VIDEO | {"in_channels": 32}, (16, 2, 6, 8), 24, picture=24, layers=5,
              extra=pooled, beside=first_frame, models="SkyReels V1 image to video", full=VIDEO_FULL | {"in_channels": 32}, full_layers=60,
              **VERSION),
    TinyModel("HunyuanVideo15_SR_Distilled", "hunyuan_image", VIDEO | VIDEO_15 | LARGER | {"depth": 4}, (32, 2, 3, 4), 24, picture=24,
              layers=4, text=with_quoted, extra=byt5, beside=small_video, models="HunyuanVideo 1.5 super-resolution",
              full=VIDEO_FULL | VIDEO_15_FULL | LARGER, full_layers=54, **VERSION),
    TinyModel("HunyuanImage21Refiner", "hunyuan_image", VIDEO | REFINER, (64, 2, 3, 4), 24, picture=24, layers=5, beside=small_picture,
              unkept="keep is refused: it draws latents of another size than it gives",
              models="HunyuanImage 2.1 refiner", full=VIDEO_FULL | REFINER | {"context_in_dim": 3584, "hidden_size": 3328, "num_heads": 26},
              full_layers=60, **VERSION),
]  # fmt: skip
