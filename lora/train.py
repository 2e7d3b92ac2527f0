"""Trains a LoRA on the text layers. [Staniszewski et al., section 5.1]

Settings     how
train        from latents and prompts to a LoRA
recent       the loss of the last steps
"""

from contextlib import nullcontext
from dataclasses import dataclass

import comfy.model_management
import torch

from ..patching import models
from . import preview
from .adapters import adapters
from .checkpointing import checkpointed
from .examples import alike, at_rest, drawn, encoded, mean_loss
from .frozen import unkept
from .metadata import LoraTensors, of_training, steps
from .room import Room, made
from .saved_tensors import changes_allowed, in_training


@dataclass(frozen=True)
class Settings:
    """alpha: None for the rank. batch: pictures in one step. low_precision: compute in bfloat16, with the adapters in float32.
    checkpointing: compute blocks again for the backward pass instead of keeping what they need; None for where the card has no room
    otherwise. The defaults and AdamW's betas and weight decay are the paper's."""

    rank: int = 4
    alpha: float | None = None
    learning_rate: float = 1e-4
    steps: int = 500
    batch: int = 1
    seed: int = 0
    weight_decay: float = 1e-2
    low_precision: bool = False
    checkpointing: bool | None = None


@dataclass(frozen=True)
class Trained:
    """tensors: the LoRA file's, with its metadata; losses: of each step; room: what it took of the card."""

    tensors: LoraTensors
    losses: list[float]
    room: Room


def train(model, latents, prompts, text_layers, settings, start=None, tell=None, keep=None, accelerator=None):
    """latents: of each picture [channels, height, width], as VAE Encode gives them, the sizes may differ; prompts: CONDITIONING of each,
    or one for all; start: files.LoraFile to go on with. tell(losses, draw) is called after each step, where draw() gives the latent of a
    picture of the first prompt; keep(tensors) with what has been trained when the training is cut short. accelerator: an
    accelerate.Accelerator, over whose processes each batch is spread.

    Raises ValueError for no pictures, prompts that do not match them, steps, batch or rank below 1, a batch smaller than the number of
    processes, a start of other layers or of another rank, when the loss is no number, and when memory runs out.
    """
    models.check(model, text_layers)
    _check(latents, prompts, settings, accelerator)
    # Autograd does not take what was made in inference mode, and ComfyUI's blocks add in place to what it has kept.
    with torch.inference_mode(False), torch.enable_grad(), in_training(), changes_allowed():
        comfy.model_management.load_models_gpu([model])
        _leave_inference_mode(model.model.diffusion_model)
        _forget_text(model)
        device = model.load_device
        prompts = prompts if len(prompts) > 1 else prompts * len(latents)
        given = [latent[None].clone().float() for latent in latents]
        latents = [model.model.process_latent_in(latent) for latent in given]
        conds = [at_rest(encoded(model, prompt, latent.to(device))) for prompt, latent in zip(prompts, latents, strict=True)]
        room = made(model, latents, conds, text_layers, settings)
        before = steps(start.metadata) if start else 0
        with (
            unkept(model.model.diffusion_model),
            checkpointed(model.model.diffusion_model) if room.checkpointing else nullcontext(),
            adapters(model, text_layers, settings.rank, settings.alpha or settings.rank, settings.seed) as added,
        ):
            if start:
                added.load(start.tensors)
            losses = []

            def lora():
                return LoraTensors(added.lora(), of_training(text_layers, settings, before + len(losses)))

            def draw():
                return preview.draw(model, prompts[0], given[0], settings.seed)

            try:
                with room.told_when_full():
                    for value in _steps(model, latents, conds, added, settings, accelerator):
                        losses.append(value)
                        if tell:
                            tell(losses, draw)
                        comfy.model_management.throw_exception_if_processing_interrupted()
            except BaseException:
                if losses and keep:
                    keep(lora())
                raise
            return Trained(lora(), losses, room)


def recent(losses):
    """Mean of the last 20, for people to look at."""
    last = losses[-20:]
    return sum(last) / len(last)


def _steps(model, latents, conds, added, settings, accelerator):
    """The loss of each step, as it is made. What is random is drawn for the whole batch by every process, so that the number of processes
    changes nothing."""
    random = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(added.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    first, processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    for step in range(settings.steps):
        value = 0.0
        batch = drawn(model, latents, conds, settings.batch, random)
        for group in alike(batch[first::processes]):
            with torch.autocast(model.load_device.type, torch.bfloat16, enabled=settings.low_precision):
                part = mean_loss(model, group) * len(group) / settings.batch
            _backward(part, model)
            value += float(part.detach())
        if accelerator:
            value = _sum_over(accelerator, added.parameters(), value)
        if not value < float("inf"):
            raise ValueError(f"The loss is no number in step {step + 1}: lower the learning rate ({settings.learning_rate:g}).")
        optimizer.step()
        optimizer.zero_grad()
        yield value


def _sum_over(accelerator, parameters, value):
    """Gradients and loss of all processes, each of which has its share of the batch's mean."""
    for p in parameters:
        p.grad = accelerator.reduce(p.grad, "sum")
    return float(accelerator.reduce(torch.tensor(value, device=accelerator.device), "sum"))


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


def _check(latents, prompts, settings, accelerator):
    if not len(latents):
        raise ValueError("There are no pictures to train on.")
    if len(prompts) not in (1, len(latents)):
        raise ValueError(f"There are {len(prompts)} prompts for {len(latents)} pictures: give one for each, or one for all.")
    if settings.steps < 1 or settings.batch < 1:
        raise ValueError(f"Steps ({settings.steps}) and batch ({settings.batch}) must be 1 or more.")
    if accelerator and settings.batch < accelerator.num_processes:
        raise ValueError(f"A batch of {settings.batch} cannot be spread over {accelerator.num_processes} processes: make it larger.")


def _leave_inference_mode(diffusion_model):
    """Weights that were loaded in inference mode, as ComfyUI's nodes run, are replaced by equal ones, one after another."""
    for module in diffusion_model.modules():
        for name, p in module._parameters.items():
            if p is not None and p.is_inference():
                module._parameters[name] = torch.nn.Parameter(p.clone(), requires_grad=False)
        for name, b in module._buffers.items():
            if b is not None and b.is_inference():
                module._buffers[name] = b.clone()
