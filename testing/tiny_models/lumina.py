"""Lumina-Image 2.0, NewBie, Z-Image and Zeta-Chroma."""

from .model import TinyModel

LUMINA = {
    "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 96, "cap_feat_dim": 24, "n_layers": 3, "qk_norm": True,
    "n_heads": 6, "n_kv_heads": 2, "axes_dims": [4, 6, 6], "axes_lens": [300, 512, 512], "rope_theta": 10000.0, "ffn_dim_multiplier": 4.0,
}  # fmt: skip
LUMINA_FULL = LUMINA | {"dim": 2304, "cap_feat_dim": 2304, "n_layers": 26, "n_heads": 24, "n_kv_heads": 8, "axes_dims": [32, 32, 32]}
NEWBIE_FULL = LUMINA_FULL | {"cap_feat_dim": 2560, "n_layers": 36, "clip_text_dim": 1024}

# Z-Image's modulation is 256 wide whatever the rest of it is.
Z_IMAGE = LUMINA | {
    "dim": 256, "n_heads": 8, "n_kv_heads": 8, "axes_dims": [8, 12, 12], "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
    "ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32,
}  # fmt: skip
Z_IMAGE_FULL = Z_IMAGE | {"dim": 3840, "cap_feat_dim": 2560, "n_layers": 30, "n_heads": 30, "n_kv_heads": 30, "axes_dims": [32, 48, 48]}


def pixel_space(patch_size, decoder_hidden_size, decoder_num_res_blocks, decoder_max_freqs):
    return {
        "image_model": "zimage_pixel", "patch_size": patch_size, "in_channels": 3, "decoder_in_channels": 3 * patch_size**2,
        "decoder_hidden_size": decoder_hidden_size, "decoder_num_res_blocks": decoder_num_res_blocks,
        "decoder_max_freqs": decoder_max_freqs, "use_x0": True,
    }  # fmt: skip


def pooled(random, tokens):
    return {"pooled_output": random(1, 8)}


def padded(tokens):
    return -(-tokens // 32) * 32


MODELS = [
    TinyModel("Lumina2", "lumina", LUMINA, (16, 8, 12), 24, picture=24, layers=3, models="Lumina-Image 2.0",
              full=LUMINA_FULL, full_layers=26),
    TinyModel("Lumina2", "lumina", LUMINA | {"clip_text_dim": 8}, (16, 8, 12), 24, picture=24, layers=3, extra=pooled, models="NewBie",
              full=NEWBIE_FULL, full_layers=36, newer=("clip_text_dim",)),
    # 36 tokens of the picture are padded to 64. Texts of 31 tokens, so that some of another length need more padding and some do not.
    TinyModel("ZImage", "lumina", Z_IMAGE, (16, 12, 12), 24, picture=64, layers=3, tokens=31, text=padded,
              models="Z-Image, Z-Image Turbo", full=Z_IMAGE_FULL, full_layers=30),
    TinyModel("ZImagePixelSpace", "lumina", Z_IMAGE | pixel_space(4, 32, 2, 2), (3, 24, 24), 24, picture=64, layers=3, tokens=31,
              text=padded, models="Zeta-Chroma", full=Z_IMAGE_FULL | pixel_space(32, 3840, 4, 8), full_layers=30),
]  # fmt: skip
