"""FlowEdit (Kulikov et al., 2024), for comparison: a path from the source's picture to the target's, without inversion.

flow_edit    latents of the edit; flow matching models only
"""

from itertools import pairwise

import comfy.model_sampling
import comfy.sample
import comfy.samplers
import torch

SKIPPED = 17 / 50  # of the steps, from the noisiest on: the authors' own for Stable Diffusion 3


def fits(bench):
    return isinstance(bench.model.get_model_object("model_sampling"), comfy.model_sampling.CONST)


def flow_edit(bench, positive, latents, seeds):
    """positive: a row for each source, then for each target; seeds: one for each picture. Both sides have the bench's guidance."""
    s = bench.setting
    sigmas = comfy.samplers.calculate_sigmas(bench.model.get_model_object("model_sampling"), s.scheduler, s.steps)
    sampler = comfy.samplers.KSAMPLER(_edit, {"seeds": seeds})
    both, negative = torch.cat([latents, latents]), bench.encode([""] * len(positive[0][0]))
    found = comfy.sample.sample_custom(
        bench.model, torch.zeros_like(both), s.cfg, sampler, sigmas, positive, negative, both, disable_pbar=True, seed=bench.seed
    )
    return found[len(latents) :]


def _edit(model, x, sigmas, extra_args=None, callback=None, disable=None, seeds=()):
    """A sampler of ComfyUI's. The source, and the edit so far moved along with it, get the same new noise at every step; the edit goes
    where the two predictions differ."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    source = model.latent_image[: len(seeds)].to(x)
    edited = source
    for now, then in list(pairwise(sigmas))[round(SKIPPED * (len(sigmas) - 1)) :]:
        noise = torch.stack([torch.randn(source.shape[1:], generator=generator) for generator in generators]).to(x)
        noisy = (1 - now) * source + now * noise
        both = torch.cat([noisy, edited + noisy - source])
        away = (both - model(both, now.expand(len(both)), **(extra_args or {}))) / now
        edited = edited + (then - now) * (away[len(seeds) :] - away[: len(seeds)])
    return torch.cat([source, edited])
