"""Rows of one batch that swap different layers: what localization tries, many candidates in one call of the model.

swap_rows   MODEL -> MODEL for one batch, in which each row takes a target's keys and values in its own layers

The target's own run is a row of the same batch, from the same noise: call n of the target goes into call n of the source without
being kept. Where keys and values can be made from the target's embeddings (injection), these are enough.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import comfy.model_management
import torch

from . import families, text_attention
from .comfy_sampling import add_row_wrapper


@dataclass(frozen=True)
class Swap:
    """What one row takes. names: module paths of its layers; target: the row of the target's own run, or the target's embeddings
    [1, tokens, channels] for families that inject."""

    names: tuple[str, ...]
    target: int | torch.Tensor


def takes_from_rows(model):
    """Whether the rows of a model take from rows (True) or from embeddings."""
    return not families.family_of(model).injects


def swap_rows(model, rows: Sequence[Swap | None]):
    """A clone of MODEL for a batch of len(rows), None for rows that keep their own text. Both CFG halves are the target's; with
    embeddings the negative half stays as it is, because both share the negative prompt.

    The conditioning needs one row of embeddings for each row of the batch.
    Raises ValueError for a row or a layer that is not there, and for a row that takes from one that itself takes.
    """
    family = families.family_of(model)
    known = set(families.layer_names(model))
    for row in filter(None, rows):
        if not known.issuperset(row.names):
            raise ValueError(f"The model has no text layer {next(iter(set(row.names) - known))}.")
        if not family.injects and (not 0 <= row.target < len(rows) or rows[row.target] is not None):
            raise ValueError(f"Row {row.target} cannot give its keys and values: it is not in the batch, or it takes others itself.")
    options_of = _from_embeddings if family.injects else _from_rows

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        with options_of(family, executor.class_obj.diffusion_model, rows, transformer_options) as options:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    swapping = model.clone()
    add_row_wrapper(swapping, around_call)
    return swapping


def _from_rows(family, diffusion_model, rows, options):
    swaps = {}
    for chunk in range(len(options["cond_or_uncond"])):
        for taker, row in enumerate(rows):
            for name in row.names if row is not None else ():
                swaps.setdefault(name, []).append((chunk * len(rows) + taker, chunk * len(rows) + row.target))
    return text_attention.swap_rows(family, diffusion_model, options, swaps) if swaps else nullcontext(options)


def _from_embeddings(family, diffusion_model, rows, options):
    for chunk, side in enumerate(options["cond_or_uncond"]):
        for taker, row in enumerate(rows):
            if side == 0 and row is not None and row.names:
                at = chunk * len(rows) + taker
                options = family.inject(options, dict.fromkeys(row.names), [(slice(at, at + 1), row.target)])
    return nullcontext(options)
