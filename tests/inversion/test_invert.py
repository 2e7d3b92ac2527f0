"""Inverted pictures: against a closed form, against noise that is known, and as pictures of the demo models."""

import itertools

import comfy.model_management
import comfy.samplers
import numpy as np
import pytest
import torch
from comfy_extras.nodes_custom_sampler import Guider_Basic
from text_layers.benchmarks.editing.inversion import Bench
from text_layers.demo import pictures, signs
from text_layers.inversion.euler import invert_euler
from text_layers.inversion.invert import invert
from text_layers.patching import models
from text_layers.patching.patch import patch_prompt
from text_layers.scoring.compare import capitals
from text_layers.scoring.image import psnr
from text_layers.scoring.ocr import engine

SIGMAS = torch.tensor([1.0, 0.8, 0.5, 0.2, 0.0])


class Linear:
    """A model that takes every latent for noise over c times the latent itself, c of each row."""

    def __init__(self, latent, c):
        self.latent_image, self.c, self.calls = latent, torch.tensor(c).view(-1, 1, 1, 1), 0

    def __call__(self, x, sigma):
        self.calls += 1
        return self.c * x


def forwards(x, sigmas, c):
    """Euler's steps of that model, by hand."""
    for now, then in itertools.pairwise(sigmas):
        x = x + (then - now) * (1 - c) * x / now
    return x


@pytest.mark.any_comfyui
def test_the_inverse_of_a_linear_model_is_its_closed_form():
    start, c = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)), [0.4, 0.7]
    model = Linear(forwards(start, SIGMAS, torch.tensor(c).view(-1, 1, 1, 1)), c)
    found = invert_euler(model, None, SIGMAS, refinements=3)
    assert (found - start).abs().max() < 1e-5, "a linear problem is solved by two residuals; what is left is float32"
    assert model.calls == 4 * 4
    plain = invert_euler(model, None, SIGMAS, refinements=0)
    by_hand = model.latent_image
    for now, then in reversed(list(itertools.pairwise(SIGMAS))):
        by_hand = by_hand - (then - now) * (1 - model.c) * by_hand / now
    assert torch.allclose(plain, by_hand) and (plain - start).abs().max() > 0.1
    assert (invert_euler(model, None, SIGMAS, refinements=3, window=1) - start).abs().max() > 0.01, "plain iteration is not there yet"


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_noise_that_is_known_is_found_again(kind, request):
    """An eps model and a flow of ComfyUI's own classes: what they drew from some noise leads back to that noise."""
    tiny = request.getfixturevalue(kind)
    model = tiny.model
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 10)
    guider = Guider_Basic(model)
    guider.set_conds(tiny.positive_A)
    noise, empty = tiny.noise[:1], torch.zeros_like(tiny.noise[:1])
    latent = guider.sample(noise, empty, comfy.samplers.sampler_object("euler"), sigmas, disable_pbar=True, seed=0)
    found = invert(guider, latent, sigmas, 12)
    assert found.generate_noise({"samples": latent}).shape == noise.shape
    again = found.generate_noise({"samples": empty})
    plain = invert(guider, latent, sigmas, 0).generate_noise({"samples": empty})
    assert (again - noise).abs().mean() < 0.05 * (plain - noise).abs().mean()
    assert abs(found.spread()[0] - float(noise.std())) < 0.05


@pytest.mark.any_comfyui
@pytest.mark.parametrize("name", ["unet", pytest.param("mmdit", marks=pytest.mark.long)])
def test_a_picture_comes_back_and_takes_another_word(name):
    bench, rng = Bench(name), np.random.default_rng(2)
    sources = [signs.random_sign(rng, word) for word in ("CAFE", "MUSIC")]
    shown = signs.draw(sources, rng)
    prompts, latent = [sign.prompt() for sign in sources], bench.latent(shown)
    guider = bench.guider(prompts)
    noise, plain = invert(guider, latent, bench.sigmas), invert(guider, latent, bench.sigmas, 0)
    back, far = bench.draw(guider, noise, latent), bench.draw(guider, plain, latent)
    for picture, near, other in zip(shown, back, far, strict=True):
        assert psnr(picture, near) > 42 and psnr(picture, near) > psnr(picture, other) + 8
    empty = bench.draw(guider, noise, torch.zeros_like(latent))
    assert np.abs(empty.astype(int) - back).max() <= 1, "the latent that it is mixed with makes no difference but rounding"
    target = pictures.encode(bench.clip, [signs.Sign("HOTEL", s.sign, s.wall, s.shape).prompt() for s in sources])
    patched = patch_prompt(bench.model, models.preset(bench.model), target)
    edited = bench.draw(bench.guider(prompts, patched), noise, latent)
    assert [capitals(engine("RapidOCR").read(picture, 4)) for picture in edited] == ["HOTEL", "HOTEL"]


def test_what_cannot_be_inverted_is_an_error():
    bench = Bench("unet")
    guider, latent = bench.guider(['a red round sign on a blue wall that says "CAFE"']), torch.rand(1, 12, 16, 32)
    for sigmas in (bench.sigmas[:-1], bench.sigmas[-1:], bench.sigmas[:0]):
        with pytest.raises(ValueError, match="end without noise"):
            invert(guider, latent, sigmas)
    noise = invert(guider, latent, bench.sigmas, 0)
    with pytest.raises(ValueError, match="made for latents of shape"):
        noise.generate_noise({"samples": torch.zeros(1, 12, 16, 16)})


def test_an_inversion_is_interrupted_at_once():
    bench = Bench("unet")
    guider, latent, calls = bench.guider(['a red round sign on a blue wall that says "CAFE"']), torch.rand(1, 12, 16, 32), []

    def callback(step, *_):
        calls.append(step)
        comfy.model_management.interrupt_current_processing()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        invert(guider, latent, bench.sigmas, 8, callback)
    assert calls == [0]
