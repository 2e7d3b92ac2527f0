"""Trains a LoRA on the text layers. [Staniszewski et al., section 5.1]

Settings     how
train        from latents and prompts to a LoRA
loss         of the model's own prediction, whatever it predicts
"""

from contextlib import contextmanager
from dataclasses import dataclass

import comfy.model_management
import torch
from comfy.samplers import cond_equal_size

from ..patching import families
from ..patching.comfy_sampling import encode, model_conds, to_conds
from .adapters import adapters


@dataclass(frozen=True)
class Settings:
    """alpha: None for the rank. batch: pictures in one step. low_precision: compute in bfloat16, with the adapters in float32. The
    defaults and AdamW's betas and weight decay are the paper's."""

    rank: int = 4
    alpha: float | None = None
    learning_rate: float = 1e-4
    steps: int = 500
    batch: int = 1
    seed: int = 0
    weight_decay: float = 1e-2
    low_precision: bool = False


@dataclass(frozen=True)
class Trained:
    """tensors: the LoRA file's; losses: of each step."""

    tensors: dict[str, torch.Tensor]
    losses: list[float]


def train(model, latents, prompts, text_layers, settings, start=None, tell=lambda losses: None, keep=lambda tensors: None):
    """latents: of each picture [channels, height, width], as VAE Encode gives them, the sizes may differ; prompts: CONDITIONING of each,
    or one for all; start: tensors of a LoRA to go on with. tell(losses) is called after each step; keep(tensors) with what has been
    trained when the training is cut short.

    Raises ValueError for no pictures, prompts that do not match them, steps, batch or rank below 1, a start of other layers or of
    another rank, and when the loss is no number.
    """
    families.check(model, text_layers)
    _check(latents, prompts, settings)
    # Autograd does not take what was made in inference mode, and ComfyUI's blocks add in place to what it has kept.
    with torch.inference_mode(False), torch.enable_grad(), _in_training(), torch.autograd.graph.allow_mutation_on_saved_tensors():
        comfy.model_management.load_models_gpu([model])
        _leave_inference_mode(model.model.diffusion_model)
        _forget_text(model)
        device = model.load_device
        latents = [model.model.process_latent_in(latent[None].clone().float()).to(device) for latent in latents]
        prompts = prompts if len(prompts) > 1 else prompts * len(latents)
        conds = [_encoded(model, prompt, latent) for prompt, latent in zip(prompts, latents)]
        with adapters(model, text_layers, settings.rank, settings.alpha or settings.rank, settings.seed) as added:
            if start is not None:
                added.load(start)
            losses = []
            try:
                for value in _steps(model, latents, conds, added, settings):
                    losses.append(value)
                    tell(losses)
                    comfy.model_management.throw_exception_if_processing_interrupted()
            except BaseException:
                if losses:
                    keep(added.lora())
                raise
            return Trained(added.lora(), losses)


def _steps(model, latents, conds, added, settings):
    """The loss of each step, as it is made."""
    device, random = model.load_device, torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(added.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    for step in range(settings.steps):
        value = 0.0
        for group in _alike(torch.randint(len(latents), (settings.batch,), generator=random).tolist(), latents, conds):
            clean = torch.cat([latents[picture] for picture in group])
            noise = torch.randn(clean.shape, generator=random).to(device)
            sigmas = torch.cat([_sigma(model, share) for share in torch.rand(len(group), generator=random).tolist()]).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.low_precision):
                mean = loss(model, clean, noise, sigmas, _given(model, [conds[picture] for picture in group]))
            part = mean * len(group) / settings.batch
            _backward(part, model)
            value += float(part.detach())
        if not value < float("inf"):
            raise ValueError(f"The loss is no number in step {step + 1}: lower the learning rate ({settings.learning_rate:g}).")
        optimizer.step()
        optimizer.zero_grad()
        yield value


def _alike(pictures, latents, conds):
    """The pictures in groups that the model takes in one call: of one size, with prompts of one length. (ComfyUI would repeat the tokens
    of the shorter one; joint attention, unlike cross-attention, gives repeated tokens more weight.)"""
    groups = []
    for picture in pictures:
        for group in groups:
            one, other = (conds[n]["model_conds"] for n in (picture, group[0]))
            if latents[picture].shape == latents[group[0]].shape and cond_equal_size(one, other) and _sizes(one) == _sizes(other):
                group.append(picture)
                break
        else:
            groups.append([picture])
    return groups


def _sizes(conds):
    return {name: cond.size() for name, cond in conds.items()}


def _backward(part, model):
    try:
        part.backward()
    except RuntimeError as error:
        if "no autograd formula" not in str(error):
            raise
        raise ValueError(
            f"{type(model.model).__name__} models cannot be trained here: this ComfyUI computes them with operations that have no gradient."
        ) from error
    _forget_text(model)


def _forget_text(model):
    """HiDream-O1 keeps its text's keys and values from call to call, whatever has changed in between."""
    if hasattr(model.model.diffusion_model, "clear_kv_cache"):
        model.model.diffusion_model.clear_kv_cache()


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
    """A prompt as the model's own cond."""
    (conds, *others) = to_conds(prompt)
    if others:
        raise ValueError("A prompt for training has one part: areas, masks and combined prompts cannot be trained on.")
    (cond,) = encode(model.model, [conds], "positive", latent, model.load_device)
    return cond


def _given(model, conds):
    """Arguments of apply_model for conds of one shape, a row each."""
    values = model_conds(conds, 1, model.load_device)
    return {name: value.clone() if torch.is_tensor(value) else value for name, value in values.items()}


def _sigma(model, share):
    """A noise level [1]: uniform over the model's own time steps, for shares that are uniform from 0 to 1."""
    sampling = model.model.model_sampling
    first, last = (float(sampling.timestep(sigma)) for sigma in (sampling.sigma_min, sampling.sigma_max))
    return torch.as_tensor(sampling.sigma(torch.tensor(first + share * (last - first)))).float().reshape(1)
