"""Trains a LoRA on the text layers. [Staniszewski et al., section 5.1]

Settings     how
train        from latents and prompts to a LoRA
recent       the loss of the last steps
"""

import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field

import comfy.model_management
import torch

from ..patching import models
from ..patching.checkpointing import checkpointed
from ..patching.frozen import unkept
from ..patching.saved_tensors import changes_allowed, forget_text, in_training, leave_inference_mode
from . import preview
from .adapters import adapters
from .examples import at_rest, encoded
from .metadata import LoraTensors, of_training, steps
from .optimizer import OPTIMIZERS, SCHEDULES
from .precision import in_full
from .room import Room, made
from .run import Diverged, Run
from .state import State


@dataclass(frozen=True)
class Settings:
    """alpha: None for the rank. batch: pictures that go through the model together, accumulation: how many such batches make a step.
    low_precision: compute in bfloat16, with the adapters in float32; in float32 otherwise. checkpointing: compute blocks again for the
    backward pass instead of keeping what they need; None for where the card has no room otherwise. warmup: steps, see optimizer.rate.
    clip: the largest norm of the gradient, 0 for any. caption_dropout: the share of examples without their caption. The defaults and
    AdamW's betas and weight decay are the paper's."""

    rank: int = 4
    alpha: float | None = None
    learning_rate: float = 1e-4
    steps: int = 500
    batch: int = 1
    seed: int = 0
    weight_decay: float = 1e-2
    low_precision: bool = False
    checkpointing: bool | None = None
    accumulation: int = 1
    schedule: str = SCHEDULES[0]
    warmup: int = 0
    clip: float = 1.0
    caption_dropout: float = 0.0
    optimizer: str = OPTIMIZERS[0]


# What may be another when a training goes on, and is still the same training.
_FREE = {"checkpointing"}


@dataclass(frozen=True)
class Trained:
    """tensors: the LoRA file's, with its metadata; losses: of each step; room: what it took of the card; state: to go on from; notes: what
    people should know."""

    tensors: LoraTensors
    losses: list[float]
    room: Room
    state: State
    notes: list[str] = field(default_factory=list)


def train(
    model,
    latents,
    prompts,
    text_layers,
    settings,
    start=None,
    tell=None,
    keep=None,
    accelerator=None,
    empty=None,
    validation=None,
    stop=lambda: False,
):
    """latents: of each picture [channels, height, width], as VAE Encode gives them, the sizes may differ; prompts: CONDITIONING of each,
    or one for all; start: a state.State, which goes on to settings.steps as if it had not stopped, or a files.LoraFile, which is trained
    for settings.steps more. tell(losses, draw) is called after each step, where draw() gives the latent of a picture of the first prompt;
    keep: a keeping.Keeper. accelerator: an accelerate.Accelerator, over whose processes each batch is spread; stop(): whether this process
    was told to stop. empty: CONDITIONING of no caption, for caption_dropout. validation: a validation.Validation, whose best reading's LoRA
    comes out.

    Raises ValueError for no pictures, prompts that do not match them, what holds NaN, settings out of their range, a batch smaller than
    the number of processes, a start of other layers or of another rank or that has gone further, when nothing could be saved, when
    the loss is no number, and when memory runs out.
    """
    models.check(model, text_layers)
    if models.family_of(model).sounds(model.get_model_object("diffusion_model")):
        raise ValueError(
            f"{type(model.model).__name__} models draw sound beside the video, and there is no training on both: train on a model that "
            "draws pictures or video alone."
        )
    _check(latents, prompts, settings, accelerator, empty)
    # Autograd does not take what was made in inference mode, and ComfyUI's blocks add in place to what it has kept.
    with torch.inference_mode(False), torch.enable_grad(), in_training(), changes_allowed():
        comfy.model_management.load_models_gpu([model])
        leave_inference_mode(model.model.diffusion_model)
        forget_text(model)
        device = model.load_device
        prompts = prompts if len(prompts) > 1 else prompts * len(latents)
        given = [latent[None].clone().float() for latent in latents]
        about = _about(given, prompts, text_layers, settings, start)
        notes = _changes(start, about, settings)
        latents = [model.model.process_latent_in(latent) for latent in given]
        conds = [at_rest(encoded(model, prompt, latent.to(device))) for prompt, latent in zip(prompts, latents, strict=True)]
        without = at_rest(encoded(model, empty, latents[0].to(device))) if empty else None
        room = made(model, latents, conds, text_layers, settings)
        with (
            nullcontext() if settings.low_precision else in_full(model),
            unkept(model.model.diffusion_model),
            checkpointed(model.model.diffusion_model) if room.checkpointing else nullcontext(),
            adapters(model, text_layers, settings.rank, settings.alpha or settings.rank, settings.seed) as added,
        ):
            if start and not isinstance(start, State):
                added.load(start.tensors)
            run = Run(model, latents, conds, without, added, settings, about, accelerator, lambda: forget_text(model), stop)

            def lora(step):
                return LoraTensors(added.lora(), of_training(text_layers, settings, about["before"] + step))

            def draw():
                return preview.draw(model, prompts[0], given[0], settings.seed)

            def read():
                return validation.read(model, given[0], len(run.losses))

            with room.told_when_full():
                if isinstance(start, State):
                    run.go_on(start)
                    if validation:
                        validation.go_on(start.about.get("readings", []))
                else:
                    run.begin()
                notes += _all_steps(run, settings.steps, lora, keep, tell and (lambda: tell(run.losses, draw)), validation, read)
            state, step = run.state(), len(run.losses)
            if validation:
                run.take_best()
                step = validation.best().step
                notes.append(validation.says())
            return Trained(lora(step), run.losses, room, state, notes)


def recent(losses):
    """Mean of the last 20, for people to look at."""
    last = losses[-20:]
    return sum(last) / len(last)


def _all_steps(run, steps, lora, keep, tell, validation, read):
    """What to say of it. A reading belongs to the beginning of a step: where it was cut short, a training goes on with it."""
    diverged = None
    if keep:
        keep.begin(run.state())
    try:
        while True:
            if validation and validation.is_due(len(run.losses), steps):
                better = read()
                run.note_reading(validation.plain(), better)
            if len(run.losses) >= steps or (validation and validation.is_over()):
                break
            run.compute()
            if keep and keep.every and len(run.losses) > keep.step and len(run.losses) % keep.every == 0:
                diverged = run.is_high() and run.divergence()
                if not diverged:  # what was good before stays
                    keep.save(run.good())
            run.update()
            if tell:
                tell()
            comfy.model_management.throw_exception_if_processing_interrupted()
        diverged = run.divergence()
        if keep and not diverged:
            keep.save(run.state())
    except BaseException as error:
        if keep:
            _cut_short(run, lora, keep, error)
        raise
    if not diverged:
        return []
    return [diverged + (f" Step {keep.step} is still in {keep.where()}." if keep and keep.step else "")]


def _cut_short(run, lora, keep, error):
    state = run.state()
    if not state.losses:
        keep.forget()
    elif keep.step and (isinstance(error, Diverged) or run.is_high()) and _has_diverged(run):
        keep.stay()
    else:
        keep.cut_short(state, lora(state.step))


def _has_diverged(run):
    try:
        return bool(run.divergence())
    except Diverged:
        return True


def _about(latents, prompts, text_layers, settings, start):
    """What a state says beside its numbers."""
    digest = hashlib.sha256()
    for latent, prompt in zip(latents, prompts, strict=True):
        digest.update(latent.detach().cpu().numpy().tobytes())
        digest.update(prompt[0][0].detach().float().cpu().numpy().tobytes())
    before = start.about["before"] if isinstance(start, State) else steps(start.metadata) if start else 0
    layers = json.loads(text_layers.to_json())
    return {"before": before, "pictures": digest.hexdigest(), "text_layers": layers, "settings": asdict(settings)}


def _changes(start, about, settings):
    """What makes a training that goes on another one than it was. One that was ended after its last step has its LoRA still to give. Raises
    ValueError when it has gone further."""
    if not isinstance(start, State):
        return []
    if start.step > settings.steps:
        raise ValueError(
            f"This training has done {start.step} steps, and steps is {settings.steps}: steps counts all of them, so set it higher."
        )
    before = start.about["settings"]
    found = [
        f"{name} {before.get(name)} -> {value}"
        for name, value in asdict(settings).items()
        if name not in _FREE and before.get(name) != value
    ]
    found += ["other pictures or prompts"] if start.about["pictures"] != about["pictures"] else []
    return [f"It went on from step {start.step}, changed: {', '.join(found)}."] if found else [f"It went on from step {start.step}."]


def _check(latents, prompts, settings, accelerator, empty):
    if not len(latents):
        raise ValueError("There are no pictures to train on.")
    if len(prompts) not in (1, len(latents)):
        raise ValueError(f"There are {len(prompts)} prompts for {len(latents)} pictures: give one for each, or one for all.")
    if settings.steps < 1 or settings.batch < 1 or settings.accumulation < 1:
        raise ValueError(
            f"Steps ({settings.steps}), batch ({settings.batch}) and accumulation ({settings.accumulation}) must be 1 or more."
        )
    if settings.caption_dropout and not empty:
        raise ValueError("Caption dropout needs the encoded prompt of no words.")
    if accelerator and settings.batch < accelerator.num_processes:
        raise ValueError(f"A batch of {settings.batch} cannot be spread over {accelerator.num_processes} processes: make it larger.")
    for number, latent in enumerate(latents, 1):
        if not latent.isfinite().all():
            raise ValueError(
                f"The latents of picture {number} of {len(latents)} hold numbers that are none (NaN or infinite). A VAE in fp16 can give "
                "such: start ComfyUI with --fp32-vae, or take another VAE."
            )
