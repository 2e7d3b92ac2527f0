"""Several pictures in one batch are each inverted as by themselves, also with a VAE that takes a batch for a film."""

import comfy.ldm.wan.vae
import comfy.samplers
import comfy.sd
import numpy as np
import pytest
import torch
from comfy_extras.nodes_custom_sampler import Guider_Basic
from text_layers.demo import comfy_model
from text_layers.inversion.pictures import decode, encode
from text_layers.nodes.inversion import InvertPicture
from text_layers.testing.tiny_models import MODELS
from text_layers.testing.tiny_models.model import fill

pytestmark = pytest.mark.any_comfyui

QWEN = next(tiny for tiny in MODELS if tiny.kind == "QwenImage")


@pytest.fixture(scope="module")
def video_vae():
    """Wan's, which is Qwen-Image's as well, tiny and random."""
    model = comfy.ldm.wan.vae.WanVAE(dim=8, z_dim=16, num_res_blocks=2, temperal_downsample=[False, True, True])
    fill(model, seed=1)
    return comfy.sd.VAE(sd=model.state_dict(), dtype=torch.float32)


@pytest.fixture(scope="module")
def guider():
    guider = Guider_Basic(QWEN.build())
    guider.set_conds(QWEN.conditioning(0))
    return guider


@pytest.fixture(scope="module")
def photographs():
    return torch.rand(4, 64, 96, 3, generator=torch.Generator().manual_seed(2))


@torch.inference_mode()  # as ComfyUI runs its nodes
def test_no_picture_is_lost_with_a_vae_of_videos(video_vae, guider, photographs):
    assert len(video_vae.encode(photographs)) == 1, "four pictures are one film for it"
    sigmas = comfy.samplers.calculate_sigmas(guider.model_patcher.get_model_object("model_sampling"), "simple", 2)

    def invert(batch):
        return InvertPicture.execute(guider, sigmas, video_vae, batch, 1).args

    noise, latent, reconstruction, psnr, report = invert(photographs)
    assert latent["samples"].shape == noise.x.shape == (4, 16, 1, 8, 12) and reconstruction.shape == photographs.shape
    assert [line.split(":")[0] for line in report.splitlines()] == [f"picture {number}" for number in (1, 2, 3, 4)]
    lowest = []
    for number, photograph in enumerate(photographs):
        alone = invert(photograph[None])
        assert torch.allclose(alone[1]["samples"][0], latent["samples"][number], atol=1e-5)
        assert torch.allclose(alone[2][0], reconstruction[number], atol=1e-3)
        lowest.append(alone[3])
    assert psnr == pytest.approx(min(lowest), abs=0.05)
    assert (latent["samples"][0] - latent["samples"][1]).abs().max() > 0.01, "or any order would do"


def test_a_vae_that_gives_another_number_of_pictures_is_refused(video_vae):
    film = torch.zeros(1, 16, 2, 8, 12)
    with pytest.raises(ValueError, match=r"gives 5 for 1 picture, .* Connect the VAE that belongs to the model"):
        decode(video_vae, film)


def test_pictures_come_back_through_a_vae_of_pictures():
    vae = comfy_model.load("unet")[2]
    shown = np.random.default_rng(3).integers(0, 256, (3, 32, 64, 3), np.uint8)
    latents = encode(vae, shown)
    assert torch.equal(latents, vae.encode(torch.from_numpy(shown).float() / 255))
    assert np.array_equal((decode(vae, latents) * 255).round().numpy().astype(np.uint8), shown)
