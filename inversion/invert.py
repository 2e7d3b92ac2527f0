"""A picture's own noise: sampled with the same guider and schedule, Euler's sampler draws the picture again.

invert          guider, latent, schedule -> InvertedNoise
draw            the latent that Euler's sampler draws from such noise
InvertedNoise   what ComfyUI's NOISE sockets carry
"""

from dataclasses import dataclass
from typing import Any

import comfy.samplers
import torch

from .euler import invert_euler


@dataclass(frozen=True, eq=False)
class InvertedNoise:
    """x: latents at the first noise level, in the model's own scale, as they should be when sampling begins."""

    x: torch.Tensor
    latent_format: Any
    model_sampling: Any
    first_sigma: torch.Tensor
    from_the_noisiest: bool
    seed: int = 0

    def spread(self):
        """Standard deviation of each row's noise. Far above 1 the picture is unlike what the model draws from such a prompt."""
        return self.generate_noise({"samples": torch.zeros_like(self.x)}).flatten(1).std(1).tolist()

    def generate_noise(self, latent):
        """What the sampler mixes with latent["samples"] (any of the same size, an empty one too) so that it begins at x."""
        samples = latent["samples"]
        if samples.shape[1:] != self.x.shape[1:]:
            raise ValueError(
                f"This noise was made for latents of shape {tuple(self.x.shape[1:])}, not {tuple(samples.shape[1:])}. Connect Invert "
                "Picture's own latent to the sampler."
            )
        if torch.count_nonzero(samples):
            samples = self.latent_format.process_in(samples)
        samples = samples.to(self.x)
        scale = self.model_sampling.noise_scaling
        # Both of ComfyUI's mixings are linear: x = a noise + b latent.
        a, b_latent = (
            scale(self.first_sigma, noise, part, self.from_the_noisiest)
            for noise, part in ((torch.ones_like(samples), torch.zeros_like(samples)), (torch.zeros_like(samples), samples))
        )
        return (self.x - b_latent) / a


def invert(guider, latent, sigmas, refinements=8, callback=None, sampler=None):
    """guider: of ComfyUI, with the prompt of what the picture shows; latent: [B, C, H, W], as a VAE gives it; sigmas: as for drawing.
    callback: of ComfyUI's samplers; sampler: another way than invert_euler. Raises ValueError for a schedule without steps or that does not
    end at 0, and where the inversion diverges."""
    if len(sigmas) < 2 or sigmas[-1] != 0:
        raise ValueError("The schedule has to end without noise, or the picture is not what it leads to: give all sigmas down to 0.")
    sampler = sampler or comfy.samplers.KSAMPLER(invert_euler, {"refinements": refinements})
    found = guider.sample(torch.zeros_like(latent), latent, sampler, sigmas, callback=callback, disable_pbar=True, seed=0)
    model = guider.model_patcher.model
    x = model.process_latent_in(found).cpu()
    if not x.isfinite().all():
        raise ValueError("The inversion has gone astray: its noise has values that are no numbers. Use CFG 1, or fewer refinements.")
    from_the_noisiest = bool(sigmas[0] >= model.model_sampling.sigma_max.to(sigmas) * (1 - 1e-5))
    return InvertedNoise(x, model.latent_format, model.model_sampling, sigmas[:1].cpu(), from_the_noisiest)


def draw(guider, noise, latent, sigmas, callback=None, sampler=None):
    """noise: an InvertedNoise of this guider and schedule; sampler: the one whose steps were turned round, if it is not Euler's."""
    sampler = sampler or comfy.samplers.sampler_object("euler")
    return guider.sample(
        noise.generate_noise({"samples": latent}), latent, sampler, sigmas, callback=callback, disable_pbar=True, seed=noise.seed
    )
