"""Room for training on the card, made before the first step.

made      decides about gradient checkpointing and loads the model beside the room that a step takes
Room      what was found and decided
choose    the decision
"""

import logging
import traceback
from contextlib import contextmanager
from dataclasses import dataclass

import comfy.model_management

from ..patching.comfy import is_out_of_memory
from . import memory
from .examples import Example

_MARGIN = 1.1  # of what is counted, for the allocator's gaps and the libraries' own workspaces


@dataclass(frozen=True)
class Room:
    """weights, training, free: bytes on the card, of which training is None where it could not be counted; all None on a processor."""

    checkpointing: bool
    weights: int | None = None
    training: int | None = None
    free: int | None = None

    def __str__(self):
        """For people; "" on a processor."""
        how = f"with{'' if self.checkpointing else 'out'} gradient checkpointing"
        if self.weights is None:
            return ""
        if self.training is None:
            return f"Memory: {_gib(self.weights)} of weights; a step of this model cannot be counted before it is run, {how}."
        beyond = self.weights + _MARGIN * self.training - self.free
        outside = f" About {_gib(beyond)} of the weights stay outside of the card, which is slower." if beyond > 0 else ""
        return f"Memory: {_gib(self.weights)} of weights and about {_gib(self.training)} for a step, {how}.{outside}"

    @contextmanager
    def told_when_full(self):
        """Raises ValueError with the ways out where memory runs out within."""
        try:
            yield
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # which would hold what filled the card
            comfy.model_management.soft_empty_cache()
            raise ValueError(
                f"There is not enough memory for a training step. {self}".rstrip() + " Ways out: "
                + ("" if self.checkpointing else "gradient checkpointing; ")
                + "batch_size 1; smaller pictures; weights in fp8; fewer or later layers; other programs closed that use the card."
            ) from None  # fmt: skip


def made(model, latents, conds, text_layers, settings):
    """latents, conds: of all pictures; settings.checkpointing: True, False, or None for "where it is needed". Returns Room."""
    device, training = model.load_device, {}
    if comfy.model_management.is_device_cpu(device):
        return Room(bool(settings.checkpointing))
    examples = _largest(latents, conds, settings.batch)

    def count(checkpointing):
        if checkpointing not in training:
            try:
                training[checkpointing] = memory.counted(model, examples, text_layers, settings, checkpointing)
            except Exception as error:  # models are not made for being run without values
                logging.info("The memory of a training step could not be counted: %s: %.200s", type(error).__name__, error)
                training[checkpointing] = None
        return training[checkpointing]

    weights, free = model.model_size(), _can_be_free(device)
    checkpointing = choose(settings.checkpointing, weights, count, free)
    needed = count(checkpointing)
    drawing = model.model.memory_required([2 * settings.batch, *examples[0].latent.shape[1:]])  # ComfyUI's own figure, for previews
    reserved = max(drawing, _MARGIN * (needed or 0))
    comfy.model_management.load_models_gpu([model], memory_required=reserved)
    return Room(checkpointing, weights, needed, free)


def choose(wanted, weights, count, free):
    """Whether to compute blocks again. wanted: True, False or None; weights, free: bytes; count(checkpointing): bytes of a step, or None
    where that is not known."""
    if wanted is not None:
        return wanted
    plain = count(False)
    return plain is None or weights + _MARGIN * plain > free


def _can_be_free(device):
    """Bytes that ComfyUI would have on a card with all of its models gone."""
    loaded = sum(m.model_loaded_memory() for m in comfy.model_management.current_loaded_models if m.device == device)
    return comfy.model_management.get_free_memory(device) + loaded - comfy.model_management.extra_reserved_memory()


def _largest(latents, conds, batch):
    """As a batch of the largest picture with the longest prompt."""
    number = max(range(len(latents)), key=lambda n: (latents[n].numel(), _numbers(conds[n])))
    latent = latents[number]
    return [Example(latent, latent, latent.new_ones(1), conds[number])] * batch


def _numbers(cond):
    return sum(c.cond.numel() for c in cond["model_conds"].values() if hasattr(c.cond, "numel"))


def _gib(size):
    return f"{size / 2**30:.1f} GiB"
