"""What a training step is made of: noisy pictures with their prompts, and the model's loss on them.

Example      one of them
encoded      a prompt as the model's own cond
at_rest      one that waits outside the card
drawn        examples of a step, at random
alike        examples in groups that the model takes in one call
mean_loss    of such a group
loss         of the model's own prediction, whatever it predicts
"""

import hashlib
from dataclasses import dataclass

import torch
from comfy.samplers import cond_equal_size

from ..patching.comfy import encode, model_conds, to_conds
from ..patching.conditioning import place_of


@dataclass(frozen=True)
class Example:
    """latent, noise: [1, channels, height, width]; sigma: [1]; cond: a prompt as the model's own"""

    latent: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor
    cond: dict


def encoded(model, prompt, latent):
    """A prompt as the model's own cond. Raises ValueError for one that is for a part of the picture or of the time, and for one that says
    more than a cond can (ControlNet)."""
    (conds, *others) = to_conds(prompt)
    if others:
        raise ValueError("A prompt for training has one part: areas, masks and combined prompts cannot be trained on.")
    place = place_of(conds) or next((words for name, words in _BESIDE.items() if conds.get(name) is not None), None)
    if place:
        raise ValueError(f"A prompt for training has {place}, which cannot be trained on: the prompt is for the whole picture.")
    if "cross_attn" in conds and not conds["cross_attn"].isfinite().all():
        raise ValueError("A prompt for training holds numbers that are none (NaN or infinite): its text encoder computes in too few bits.")
    (cond,) = encode(model.model, [conds], "positive", latent, model.load_device)
    return cond


def at_rest(cond):
    """A cond whose tensors are in the computer's memory: a set of thousands of prompts has no place on a card."""

    def moved(value):
        if torch.is_tensor(value):
            return value.cpu()
        return [moved(one) for one in value] if isinstance(value, list) else value

    return {**cond, "model_conds": {name: c._copy_with(moved(c.cond)) for name, c in cond["model_conds"].items()}}


_BESIDE = {"control": "a ControlNet", "gligen": "places of its words (GLIGEN)"}


def drawn(model, latents, conds, settings, step, without=None):
    """The examples of a step: settings.batch x settings.accumulation of them. latents, conds: of all pictures; without: the cond of no
    caption. Each picture comes once before any comes again. All depends on the seed and the step's number alone, so that a training can go
    on from any step."""
    count, random = settings.batch * settings.accumulation, _generator(settings.seed, "step", step)
    pictures = _in_turn(len(latents), count, step * count, settings.seed)
    noises = [torch.randn(latents[picture].shape, generator=random).to(latents[picture]) for picture in pictures]
    sigmas = [_sigma(model, share).cpu() for share in torch.rand(count, generator=random).tolist()]
    dropped = (torch.rand(count, generator=random) < settings.caption_dropout).tolist()
    return [
        Example(latents[picture], noise, sigma, without if drop else conds[picture])
        for picture, noise, sigma, drop in zip(pictures, noises, sigmas, dropped, strict=True)
    ]


def _in_turn(pictures, count, first, seed):
    """`count` numbers of pictures from place `first` of a row of epochs, each in an order of its own."""
    places = range(first, first + count)
    orders = {epoch: torch.randperm(pictures, generator=_generator(seed, "epoch", epoch)) for epoch in {p // pictures for p in places}}
    return [int(orders[place // pictures][place % pictures]) for place in places]


def _generator(*place):
    """One for each place in a training."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(repr(place).encode()).digest()[:8], "little"))


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
