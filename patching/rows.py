"""Rows of one batch that swap different layers: what localization tries, many candidates in one call of the model.

swap_rows       MODEL -> MODEL for one batch, in which each row takes a target's keys and values in its own layers
record_targets  MODEL -> MODEL whose batch of targets is kept for later batches, and the TargetRuns that keep it

The target's own run is a row of the same batch, from the same noise: call n of the target goes into call n of the source without
being kept. Prompts of different length cannot share a batch: then the target's batch comes first and is kept. Where keys and values can
be made from the target's embeddings (injection), these are enough.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import comfy.model_management
import torch

from . import families, text_attention
from .comfy_sampling import add_row_wrapper, uncompiled


class TargetRuns:
    """Text keys and values of a batch of targets: for each side of CFG and each call, layer -> parts as text_attention gives them."""

    def __init__(self):
        self._calls = {}

    def new_calls(self, sides):
        """Records of one call of the model, one for each side in it."""
        records = [{} for _ in sides]
        for side, record in zip(sides, records):
            self._calls.setdefault(side, []).append(record)
        return records

    def get(self, side, number, name, row):
        return tuple(part[row : row + 1] for part in self._calls[side][number][name])


@dataclass(frozen=True)
class Swap:
    """What one row takes. names: module paths of its layers; target: the row of the target's own run in this batch, or the kept runs and
    the row in them, or the target's embeddings [1, tokens, channels] for families that inject."""

    names: tuple[str, ...]
    target: int | tuple[TargetRuns, int] | torch.Tensor


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
        if isinstance(row.target, int) and (not 0 <= row.target < len(rows) or rows[row.target] is not None):
            raise ValueError(f"Row {row.target} cannot give its keys and values: it is not in the batch, or it takes others itself.")
    options_of = _from_embeddings if family.injects else _from_rows
    called = Counter()

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        with options_of(family, executor.class_obj.diffusion_model, rows, transformer_options, called) as options:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    swapping = model.clone()
    add_row_wrapper(swapping, around_call)
    return swapping


def record_targets(model, names):
    """(a clone of MODEL, TargetRuns): what the clone draws is kept for the named layers. For families that do not inject."""
    family, runs = families.family_of(model), TargetRuns()

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        records = runs.new_calls(transformer_options["cond_or_uncond"])

        def keep(name, parts):
            for record, *chunk in zip(records, *(part.chunk(len(records)) for part in parts)):
                record[name] = tuple(part.clone() for part in chunk)

        with text_attention.capture(family, executor.class_obj.diffusion_model, transformer_options, names, keep) as options:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    recording = model.clone()
    add_row_wrapper(recording, around_call)
    return recording, runs


@contextmanager
def _from_rows(family, diffusion_model, rows, options, called):
    swaps, kept = {}, []
    for chunk, side in enumerate(options["cond_or_uncond"]):
        number, called[side] = called[side], called[side] + 1
        for taker, row in enumerate(rows):
            at = chunk * len(rows) + taker
            for name in row.names if row is not None and isinstance(row.target, int) else ():
                swaps.setdefault(name, []).append((at, chunk * len(rows) + row.target))
            if row is not None and row.names and not isinstance(row.target, int):
                runs, giver = row.target
                kept.append((slice(at, at + 1), {name: runs.get(side, number, name, giver) for name in row.names}))
    with ExitStack() as stack:
        if swaps:
            options = stack.enter_context(text_attention.swap_rows(family, diffusion_model, options, swaps))
        if kept:
            layers = dict.fromkeys(name for _, parts in kept for name in parts)
            options = stack.enter_context(text_attention.put(family, diffusion_model, options, layers, kept))
        yield options


@contextmanager
def _from_embeddings(family, diffusion_model, rows, options, called):
    for chunk, side in enumerate(options["cond_or_uncond"]):
        for taker, row in enumerate(rows):
            if side == 0 and row is not None and row.names:
                at = chunk * len(rows) + taker
                options = family.inject(options, dict.fromkeys(row.names), [(slice(at, at + 1), row.target)])
    with uncompiled():
        yield options
