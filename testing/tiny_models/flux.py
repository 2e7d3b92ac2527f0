"""Flux.1, Flux.2, LongCat-Image."""

from .model import TinyModel

FLUX = {
    "image_model": "flux", "in_channels": 16, "patch_size": 2, "out_channels": 16, "vec_in_dim": 8, "context_in_dim": 24, "hidden_size": 32,
    "mlp_ratio": 2.0, "num_heads": 2, "depth": 2, "depth_single_blocks": 3, "axes_dim": [4, 6, 6], "theta": 10000, "qkv_bias": True,
    "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip
FULL = FLUX | {
    "vec_in_dim": 768, "context_in_dim": 4096, "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": 19,
    "depth_single_blocks": 38, "axes_dim": [16, 56, 56],
}  # fmt: skip

# Fill's input: the picture, the picture to fill, and 64 channels of its mask.
FILL = {"in_channels": 96}

FLUX2 = {
    "image_model": "flux2", "in_channels": 128, "out_channels": 128, "patch_size": 1, "vec_in_dim": None, "mlp_ratio": 3.0,
    "axes_dim": [4, 4, 4, 4], "theta": 2000, "global_modulation": True, "mlp_silu_act": True, "qkv_bias": False, "ops_bias": False,
    "default_ref_method": "index", "ref_index_scale": 10.0, "txt_ids_dims": [3],
}  # fmt: skip
FLUX2_FULL = FLUX2 | {
    "context_in_dim": 15360, "hidden_size": 6144, "num_heads": 48, "depth": 8, "depth_single_blocks": 48, "axes_dim": [32, 32, 32, 32],
}  # fmt: skip

LONGCAT = {"vec_in_dim": None, "context_in_dim": 3584, "guidance_embed": False, "txt_ids_dims": [1, 2]}
LONGCAT_FULL = LONGCAT | {"depth": 10, "depth_single_blocks": 20}


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


def kontext(random, number):
    return {"guidance": 1.0 + 3 * number, "reference_latents": [random(1, 16, 8, 12)]}


def hole(random, number):
    return {"guidance": 10.0 + 20 * number, "concat_latent_image": random(1, 16, 8, 12), "concat_mask": (random(1, 1, 64, 96) > 0).float()}


def references(random, number):
    return {"guidance": 1.0 + 3 * number, "reference_latents": [random(1, 128, 8, 12)]}


MODELS = [
    TinyModel("Flux", "flux", FLUX, (16, 8, 12), 24, picture=24, layers=5, extra=pooled, beside=kontext, reference=24,
              models="Flux.1 dev, Krea, Kontext", full=FULL, full_layers=57, newer=("txt_ids_dims",)),
    TinyModel("FluxSchnell", "flux", FLUX | {"guidance_embed": False}, (16, 8, 12), 24, picture=24, layers=5, extra=pooled,
              models="Flux.1 schnell", full=FULL | {"guidance_embed": False}, full_layers=57, newer=("txt_ids_dims",)),
    TinyModel("FluxInpaint", "flux", FLUX | FILL, (16, 8, 12), 24, picture=24, layers=5, extra=pooled, beside=hole,
              models="Flux.1 Fill", full=FULL | FILL, full_layers=57, newer=("txt_ids_dims",)),
    # Shorter texts are padded to 512 tokens: these are chosen so that one of another length is padded and one is not.
    TinyModel("Flux2", "flux", FLUX | FLUX2, (128, 8, 12), 24, picture=96, layers=5, tokens=514, text=lambda tokens: max(tokens, 512),
              beside=references, reference=96, models="Flux.2 dev", full=FULL | FLUX2_FULL, full_layers=56, newer=("txt_ids_dims",)),
    TinyModel("LongCatImage", "flux", FLUX | LONGCAT, (16, 8, 12), 3584, picture=24, layers=5,
              models="LongCat-Image", full=FULL | LONGCAT_FULL, full_layers=30),
]  # fmt: skip
