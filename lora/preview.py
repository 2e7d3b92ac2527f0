"""A picture of a model in the middle of its training."""

import comfy.sample
import torch

_STEPS = 20


def draw(model, prompt, latent, seed, negative=None, cfg=1.0):
    """The latent [1, channels, height, width] that the model draws for a prompt, in the size of `latent`, which is as VAE Encode gives it.

    Euler; without `negative` and `cfg` one call of the model a step.
    """
    empty = torch.zeros_like(latent)
    noise = comfy.sample.prepare_noise(empty, seed)
    with torch.no_grad():
        return comfy.sample.sample(
            model.clone(), noise, _STEPS, cfg, "euler", "simple", prompt, negative or prompt, empty, seed=seed, disable_pbar=True
        )
