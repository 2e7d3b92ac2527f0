"""A picture of a model in the middle of its training."""

import comfy.sample
import torch

_STEPS = 20


def draw(model, prompt, latent, seed):
    """The latent [1, channels, height, width] that the model draws for a prompt, in the size of `latent`, which is as VAE Encode gives it.

    Euler, without guidance: one call of the model a step.
    """
    empty = torch.zeros_like(latent)
    noise = comfy.sample.prepare_noise(empty, seed)
    with torch.no_grad():
        return comfy.sample.sample(
            model.clone(), noise, _STEPS, 1.0, "euler", "simple", prompt, prompt, empty, seed=seed, disable_pbar=True
        )
