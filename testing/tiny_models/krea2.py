"""Krea 2."""

from .model import TinyModel

KREA = {
    "image_model": "krea2", "features": 64, "channels": 16, "patch": 2, "layers": 3, "heads": 4, "kvheads": 2, "txtlayers": 3,
    "txtdim": 8, "txtheads": 2, "txtkvheads": 2,
}  # fmt: skip

FULL = {
    "image_model": "krea2", "features": 6144, "channels": 16, "patch": 2, "layers": 28, "heads": 48, "kvheads": 12, "txtlayers": 12,
    "txtdim": 2560,
}  # fmt: skip


def references(random, number):
    return {"reference_latents": [random(1, 16, 1, 8, 12)], "reference_latents_method": "index"}


MODELS = [
    TinyModel("Krea2", "krea2", KREA, (16, 1, 8, 12), 24, picture=24, layers=3, beside=references, reference=24, models="Krea 2",
              full=FULL, full_layers=28),
]  # fmt: skip
