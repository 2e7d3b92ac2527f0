"""Stable Diffusion 1.x and 2.x, SDXL and what was distilled from it."""

from ..full_size import SD15, SD21, SDXL, UNET
from .model import TinyModel

TINY = UNET | {"model_channels": 32, "context_dim": 24}
TINY_SD15 = TINY | {
    "num_res_blocks": [2, 2, 2, 2], "channel_mult": [1, 2, 2, 2], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1, "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
}  # fmt: skip
# Heads have 64 channels, so that there must be as many.
TINY_SD20 = TINY_SD15 | {"model_channels": 64, "use_linear_in_transformer": True}
# ComfyUI describes the size of the picture by 6 numbers in 256 channels each, and for the refiner by 5.
TINY_SDXL = TINY | {
    "num_classes": "sequential", "adm_in_channels": 8 + 6 * 256, "num_res_blocks": [2, 2, 2], "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 1, 1, 2, 2], "transformer_depth_middle": 2, "transformer_depth_output": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    "use_linear_in_transformer": True,
}  # fmt: skip
TINY_REFINER = TINY_SDXL | {
    "adm_in_channels": 8 + 5 * 256, "num_res_blocks": [2, 2, 2, 2], "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [0, 0, 1, 1, 2, 2, 0, 0], "transformer_depth_output": [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0],
}  # fmt: skip
# -1: no attention in the middle, -2: no middle.
TINY_SSD = TINY_SDXL | {"transformer_depth_output": [0, 0, 0, 1, 1, 2, 3, 2, 2], "transformer_depth_middle": -1}
TINY_VEGA = TINY_SDXL | {"transformer_depth_middle": -1}
TINY_KOALA = TINY_SDXL | {
    "num_res_blocks": [1, 1, 1], "transformer_depth": [0, 1, 2], "transformer_depth_output": [0, 0, 1, 1, 2, 2],
    "transformer_depth_middle": -2,
}  # fmt: skip

EDIT = {"in_channels": 8}  # the noisy picture's and those of the one that is edited

REFINER = SDXL | {
    "model_channels": 384, "context_dim": 1280, "adm_in_channels": 2560, "num_res_blocks": [2, 2, 2, 2], "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [0, 0, 4, 4, 4, 4, 0, 0], "transformer_depth_middle": 4,
    "transformer_depth_output": [0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 0, 0],
}  # fmt: skip
SSD = SDXL | {
    "transformer_depth": [0, 0, 2, 2, 4, 4], "transformer_depth_output": [0, 0, 0, 1, 1, 2, 10, 4, 4], "transformer_depth_middle": -1,
}  # fmt: skip
VEGA = SDXL | {
    "transformer_depth": [0, 0, 1, 1, 2, 2], "transformer_depth_output": [0, 0, 0, 1, 1, 1, 2, 2, 2], "transformer_depth_middle": -1,
}  # fmt: skip


def _koala(depth, middle):
    return SDXL | {"num_res_blocks": [1, 1, 1], "transformer_depth": [0, 2, depth], "transformer_depth_middle": middle,
                   "transformer_depth_output": [0, 0, 2, 2, depth, depth]}  # fmt: skip


def _unclip(config, channels):
    return config | {"num_classes": "sequential", "adm_in_channels": channels}


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


def size(random, number):
    return {"width": 256 * (1 + number), "height": 256}


def picture(random, number):
    return {"concat_latent_image": random(1, 4, 8, 12)}


def _model(kind, config, levels, layers, models, full, full_layers, **more):
    return TinyModel(kind, "unet", config, (4, 8, 12), 24, picture=levels, layers=layers, place="all", models=models, full=full,
                     full_layers=full_layers, **more)  # fmt: skip


def _sd(kind, config, models, full):
    return _model(kind, config, (96, 24, 6, 2), 16, models, full, 16)


def _sdxl(kind, config, layers, models, full, full_layers):
    return _model(kind, config, (24, 6, 2), layers, models, full, full_layers, extra=pooled, beside=size)


MODELS = [
    _sd("SD15", TINY_SD15, "Stable Diffusion 1.x", SD15),
    _sd("SD20", TINY_SD20, "Stable Diffusion 2.0, 2.1", SD21),
    _sd("SD21UnclipL", _unclip(TINY_SD20, 16), "Stable Diffusion 2.1 unCLIP (ViT-L)", _unclip(SD21, 1536)),
    _sd("SD21UnclipH", _unclip(TINY_SD20, 16), "Stable Diffusion 2.1 unCLIP (ViT-H)", _unclip(SD21, 2048)),
    _sdxl("SDXL", TINY_SDXL, 17, "SDXL 1.0, Turbo, Lightning, Pony, Illustrious, Playground 2 and 2.5", SDXL, 70),
    _sdxl("SDXLRefiner", TINY_REFINER, 17, "SDXL refiner", REFINER, 44),
    _sdxl("SSD1B", TINY_SSD, 17, "SSD-1B", SSD, 34),
    _sdxl("Segmind_Vega", TINY_VEGA, 15, "Segmind Vega", VEGA, 15),
    _sdxl("KOALA_700M", TINY_KOALA, 9, "KOALA 700M", _koala(5, -2), 21),
    _model("SD15_instructpix2pix", TINY_SD15 | EDIT, (96, 24, 6, 2), 16, "InstructPix2Pix", SD15 | EDIT, 16, beside=picture),
    _model("SDXL_instructpix2pix", TINY_SDXL | EDIT, (24, 6, 2), 17, "CosXL Edit", SDXL | EDIT, 70, extra=pooled, beside=picture),
    _sdxl("KOALA_1B", TINY_KOALA | {"transformer_depth_middle": 2}, 11, "KOALA 1B", _koala(6, 6), 30),
]
