"""Trains a LoRA on the text layers. [Staniszewski et al., section 5.1]

Settings     how
train        from latents and prompts to a LoRA
loss         of the model's own prediction, whatever it predicts
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import comfy.model_management
import torch

from ..patching import families
from ..patching.comfy_sampling import encode, model_conds, to_conds
from .adapters import adapters


@dataclass(frozen=True)
class Settings:
    """alpha: None for the rank. batch: pictures in one step. The defaults and AdamW's betas and weight decay are the paper's."""

    rank: int = 4
    alpha: float | None = None
    learning_rate: float = 1e-4
    steps: int = 500
    batch: int = 1
    seed: int = 0
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Trained:
    """tensors: the LoRA file's; losses: of each step."""

    tensors: dict[str, torch.Tensor]
    losses: list[float]


def train(model, latents, prompts, text_layers, settings, tell: Callable = lambda step, loss: None):
    """latents: [n, channels, height, width] as VAE Encode gives them; prompts: CONDITIONING of each, or one for all. tell(step, loss) is
    called after each step.

    Raises ValueError for no pictures, prompts that do not match them, steps or a batch below 1, and when the loss is no number.
    """
    families.check(model, text_layers)
    _check(latents, prompts, settings)
    # Autograd does not take what was made in inference mode, and ComfyUI's blocks add in place to what it has kept.
    with torch.inference_mode(False), torch.enable_grad(), _in_training(), torch.autograd.graph.allow_mutation_on_saved_tensors():
        comfy.model_management.load_models_gpu([model])
        _leave_inference_mode(model.model.diffusion_model)
        device = model.load_device
        latents = model.model.process_latent_in(latents.clone().float()).to(device)
        random = torch.Generator().manual_seed(settings.seed)
        encoded = [_encoded(model, prompt, latents[:1]) for prompt in prompts]
        with adapters(model, text_layers, settings.rank, settings.alpha or settings.rank, settings.seed) as added:
            optimizer = torch.optim.AdamW(added.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
            losses = []
            for step in range(settings.steps):
                comfy.model_management.throw_exception_if_processing_interrupted()
                chosen = torch.randint(len(latents), (settings.batch,), generator=random).tolist()
                noise = torch.randn((settings.batch, *latents.shape[1:]), generator=random).to(device)
                sigmas = _sigmas(model, torch.rand(settings.batch, generator=random)).to(device)
                # One at a time: prompts of a batch need not have the same length.
                value = 0.0
                for row, picture in enumerate(chosen):
                    conds = encoded[picture if len(encoded) > 1 else 0]
                    part = loss(model, latents[picture : picture + 1], noise[row : row + 1], sigmas[row : row + 1], conds) / settings.batch
                    part.backward()
                    value += float(part.detach())
                if not value < float("inf"):
                    raise ValueError(
                        f"The loss is no number any more in step {step + 1}: lower the learning rate ({settings.learning_rate:g})."
                    )
                optimizer.step()
                optimizer.zero_grad()
                losses.append(value)
                tell(step + 1, value)
            return Trained(added.lora(), losses)


@contextmanager
def _in_training():
    """ComfyUI 0.30 takes operations that autograd knows."""
    before = getattr(comfy.model_management, "in_training", False)
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before


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


def _check(latents, prompts, settings):
    if not len(latents):
        raise ValueError("There are no pictures to train on.")
    if len(prompts) not in (1, len(latents)):
        raise ValueError(f"There are {len(prompts)} prompts for {len(latents)} pictures: give one for each, or one for all.")
    if settings.steps < 1 or settings.batch < 1:
        raise ValueError(f"Steps ({settings.steps}) and batch ({settings.batch}) must be 1 or more.")


def _leave_inference_mode(diffusion_model):
    """Weights that were loaded in inference mode, as ComfyUI's nodes run, are replaced by equal ones, one after another."""
    for module in diffusion_model.modules():
        for name, p in module._parameters.items():
            if p is not None and p.is_inference():
                module._parameters[name] = torch.nn.Parameter(p.clone(), requires_grad=False)
        for name, b in module._buffers.items():
            if b is not None and b.is_inference():
                module._buffers[name] = b.clone()


def _encoded(model, prompt, latent):
    """Arguments of apply_model for a prompt."""
    (conds, *others) = to_conds(prompt)
    if others:
        raise ValueError("A prompt for training has one part: areas, masks and combined prompts cannot be trained on.")
    (cond,) = encode(model.model, [conds], "positive", latent, model.load_device)
    values = model_conds([cond], 1, model.load_device)
    return {name: value.clone() if torch.is_tensor(value) else value for name, value in values.items()}


def _sigmas(model, shares):
    """Noise levels, uniform over the model's own time steps. shares: from 0 to 1"""
    sampling = model.model.model_sampling
    last = float(sampling.timestep(sampling.sigma_max))
    first = float(sampling.timestep(sampling.sigma_min))
    return torch.stack([torch.as_tensor(sampling.sigma(torch.tensor(first + share * (last - first)))) for share in shares.tolist()]).float()
