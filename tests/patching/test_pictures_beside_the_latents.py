"""U-Nets that see a picture beside the latents: those for inpainting, and the upscaler of Stable Diffusion 2, which is refused."""

from dataclasses import replace

import pytest
import torch
from text_layers.benchmarks.families import checks as benchmark
from text_layers.patching import models
from text_layers.patching.adapters import UNSERVABLE_KINDS
from text_layers.patching.discovery import look_at
from text_layers.testing.tiny_models import MODELS, TinyModel
from text_layers.testing.tiny_models.unet import TINY_SD15

pytestmark = pytest.mark.any_comfyui


def hole(random, number):
    return {"concat_latent_image": random(1, 4, 8, 12), "concat_mask": (random(1, 1, 64, 96) > 0).float()}


def inpainting(kind):
    tiny = next(tiny for tiny in MODELS if tiny.kind == kind)
    return replace(tiny, config=tiny.config | {"in_channels": 9}, beside=hole)


X4 = {"in_channels": 7, "num_classes": 1000, "num_heads": 2, "num_head_channels": -1, "use_linear_in_transformer": True}
UPSCALER = TinyModel("SD_X4Upscaler", "unet", TINY_SD15 | X4, (4, 8, 12), 24, picture=(96, 24, 6, 2), layers=16, place="all")


@pytest.mark.parametrize("tiny", [inpainting("SD15"), inpainting("KOALA_700M")], ids=["SD 1.5", "SDXL"])
def test_two_entries_with_pictures_of_their_own(tiny):
    """Identities, and an edit against a second implementation, but for SD 1.5, which is the same code and several times the layers."""
    bench = benchmark.bench_of(tiny)
    plain, pictured = (b.draw(b.prompt(0)) for b in (bench, replace(bench, entries=1)))
    assert not torch.equal(plain, pictured), "the picture does something"
    benchmark.c(replace(bench, entries=0))  # without a picture, too
    if tiny.kind != "SD15":
        benchmark.g(bench)


@pytest.mark.parametrize("kind", sorted(set(UNSERVABLE_KINDS) - {"Stable_Zero123"}))  # which asks the checkpoint for more weights
def test_a_unet_that_no_text_tells_what_to_draw_is_refused(kind):
    """Their diffusion models are those of Stable Diffusion; of the upscaler attn2 alone would be half of what it sees of the text."""
    model = replace(UPSCALER, kind=kind).build()
    with pytest.raises(ValueError, match=r"models have no text layers: (it|a picture) "):
        models.family_of(model)
    with pytest.raises(ValueError, match="have no text layers"):
        look_at(model, UPSCALER.conditioning(0))
        models.family_of(model)
