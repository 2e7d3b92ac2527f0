"""PixArt alpha and sigma."""

from .model import TinyModel

PIXART = {
    "image_model": "pixart_alpha", "input_size": 8, "patch_size": 2, "in_channels": 4, "hidden_size": 48, "depth": 3, "num_heads": 3,
    "mlp_ratio": 2.0, "caption_channels": 24, "pe_interpolation": 1, "model_max_length": 16, "micro_condition": True,
}  # fmt: skip

SIGMA = {"image_model": "pixart_sigma", "micro_condition": False}
FULL = PIXART | {"input_size": 128, "hidden_size": 1152, "depth": 28, "num_heads": 16, "mlp_ratio": 4.0, "caption_channels": 4096,
                 "pe_interpolation": 2, "model_max_length": 300}  # fmt: skip


def size(random, number):
    return {"width": 256 * (1 + number), "height": 256}


MODELS = [
    TinyModel("PixArtAlpha", "pixart", PIXART, (4, 32, 40), 24, picture=320, layers=3, place="all",
              beside=size, models="PixArt alpha", full=FULL, full_layers=28),
    TinyModel("PixArtSigma", "pixart", PIXART | SIGMA, (4, 32, 40), 24, picture=320,
              layers=3, place="all", models="PixArt sigma", full=FULL | SIGMA, full_layers=28),
]  # fmt: skip
