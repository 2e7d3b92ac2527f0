"""What a training step is made of: noisy pictures with their prompts, and the model's loss on them.

Example      one of them
encoded      a prompt as the model's own cond
at_rest      one that waits outside the card
drawn        examples at random
alike        examples in groups that the model takes in one call
mean_loss    of such a group
loss         of the model's own prediction, whatever it predicts
"""

from dataclasses import dataclass

import torch
from comfy.samplers import cond_equal_size

from ..patching.comfy import encode, model_conds, to_conds


@dataclass(frozen=True)
class Example:
    """latent, noise: [1, channels, height, width]; sigma: [1]; cond: a prompt as the model's own"""

    latent: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor
    cond: dict


def encoded(model, prompt, latent):
    """A prompt as the model's own cond."""
    (conds, *others) = to_conds(prompt)
    if others:
        raise ValueError("A prompt for training has one part: areas, masks and combined prompts cannot be trained on.")
    (cond,) = encode(model.model, [conds], "positive", latent, model.load_device)
    return cond


def at_rest(cond):
    """A cond whose tensors are in the computer's memory: a set of thousands of prompts has no place on a card."""

    def moved(value):
        if torch.is_tensor(value):
            return value.cpu()
        return [moved(one) for one in value] if isinstance(value, list) else value

    return {**cond, "model_conds": {name: c._copy_with(moved(c.cond)) for name, c in cond["model_conds"].items()}}


def drawn(model, latents, conds, count, random):
    """latents, conds: of all pictures; random: a torch.Generator."""
    pictures = torch.randint(len(latents), (count,), generator=random).tolist()
    noises = [torch.randn(latents[picture].shape, generator=random).to(latents[picture]) for picture in pictures]
    sigmas = [_sigma(model, share).cpu() for share in torch.rand(count, generator=random).tolist()]
    return [Example(latents[picture], noise, sigma, conds[picture]) for picture, noise, sigma in zip(pictures, noises, sigmas, strict=True)]


def alike(examples):
    """In groups that the model takes in one call: of one size, with prompts of one length. (ComfyUI would repeat the tokens of the
    shorter one; joint attention, unlike cross-attention, gives repeated tokens more weight.)"""
    groups = []
    for example in examples:
        for group in groups:
            one, other = (e.cond["model_conds"] for e in (example, group[0]))
            if example.latent.shape == group[0].latent.shape and cond_equal_size(one, other) and _sizes(one) == _sizes(other):
                group.append(example)
                break
        else:
            groups.append([example])
    return groups


def _sizes(conds):
    return {name: cond.size() for name, cond in conds.items()}


def mean_loss(model, examples):
    """Mean of the examples' losses; all of one shape. They go to the model's device."""
    clean, noise, sigmas = (torch.cat([getattr(e, name) for e in examples]).to(model.load_device) for name in ("latent", "noise", "sigma"))
    return loss(model, clean, noise, sigmas, given(model, [e.cond for e in examples]))


def loss(model, latents, noise, sigmas, conds):
    """Mean squared error of what the model itself predicts (noise, velocity or flow), for sigmas [n].

    ComfyUI turns every prediction into a finished picture, by a function that is linear in the prediction: its slope turns the error
    of the picture back into the prediction's.
    """
    sampling = model.model.model_sampling
    wide = sigmas.reshape(-1, *[1] * (latents.ndim - 1))
    noisy = sampling.noise_scaling(wide, noise, latents)
    options = {"transformer_options": dict(model.model_options.get("transformer_options", {}))}
    denoised = model.model.apply_model(noisy, sigmas, **conds, **options)
    zero, one = torch.zeros_like(latents), torch.ones_like(latents)
    slope = sampling.calculate_denoised(sigmas, one, zero) - sampling.calculate_denoised(sigmas, zero, zero)
    return ((denoised.float() - latents) / slope).square().mean()


def given(model, conds):
    """Arguments of apply_model for conds of one shape, a row each, on the model's device."""

    def there(value):
        if torch.is_tensor(value):
            return value.to(model.load_device).detach().clone()
        return [there(one) for one in value] if isinstance(value, list) else value

    return {name: there(value) for name, value in model_conds(conds, 1, model.load_device).items()}


def _sigma(model, share):
    """A noise level [1]: uniform over the model's own time steps, for shares that are uniform from 0 to 1."""
    sampling = model.model.model_sampling
    first, last = (float(sampling.timestep(sigma)) for sigma in (sampling.sigma_min, sampling.sigma_max))
    return torch.as_tensor(sampling.sigma(torch.tensor(first + share * (last - first)))).float().reshape(1)
