"""Rows of one batch that take different layers: what localization tries, many candidates in one call of the model.

swap_rows       MODEL -> MODEL for one batch, in which each row takes a target's keys and values in its own layers
swapped         the same for one call of the model, as a function of ours around it sees it
record_targets  MODEL -> MODEL whose batch of targets is kept for later batches, and the TargetRuns that keep it

The target's own run is a row of the same batch, from the same noise: call n of the target goes into call n of the source without
being kept. Prompts of different length cannot share a batch: then the target's batch comes first and is kept. Where keys and values can
be made from the target's embeddings (injection), these are enough.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management
import torch

from . import hook, models
from .attention import with_rows
from .comfy import add_row_wrapper
from .store import Store
from .target import gathered, with_texts


class TargetRuns:
    """Text keys and values of a batch of targets, for each side of CFG and each call."""

    def __init__(self):
        self._store = Store()

    def add(self, records):
        """records: {(side, number of the call, layer, 0): parts} of one call of the model."""
        self._store.add(records)

    def get(self, side, number, name, row):
        ((_, parts),) = self._store.pieces((side, number, name))
        return tuple(part[row : row + 1] for part in parts)


@dataclass(frozen=True)
class Swap:
    """What one row takes. names: module paths of its layers; target: the row of the target's own run in this batch, or the kept runs and
    the row in them, or the target's embeddings [1, tokens, channels] for families that inject; w: how much of it, as attention.mixed
    takes it, or {name: w}."""

    names: tuple[str, ...]
    target: int | tuple[TargetRuns, int] | torch.Tensor
    w: Any = 1

    def weight(self, name):
        return self.w[name] if isinstance(self.w, dict) else self.w


def takes_from_rows(model):
    """Whether the rows of a model take from rows (True) or from embeddings."""
    return not models.family_of(model).injects


def swap_rows(model, rows: Sequence[Swap | None]):
    """A clone of MODEL for a batch of len(rows), None for rows that keep their own text. Both CFG halves are the target's; with
    embeddings the negative half stays as it is, because both share the negative prompt.

    The conditioning needs one row of embeddings for each row of the batch.
    Raises ValueError for a row or a layer that is not there, and for a row that takes from one that itself takes; RuntimeError when
    another node changes the batch.
    """
    family = models.family_of(model)
    known = set(models.layer_names(model))
    for row in filter(None, rows):
        if not known.issuperset(row.names):
            raise ValueError(f"The model has no text layer {next(iter(set(row.names) - known))}.")
        if isinstance(row.target, int) and (not 0 <= row.target < len(rows) or rows[row.target] is not None):
            raise ValueError(f"Row {row.target} cannot give its keys and values: it is not in the batch, or it takes others itself.")
    called, modules = Counter(), hook.Modules(family)

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        with swapped(modules, executor.class_obj.diffusion_model, rows, transformer_options, x, called) as options:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    swapping = model.clone()
    add_row_wrapper(swapping, around_call)
    return swapping


@contextmanager
def swapped(modules, diffusion_model, rows, options, x, called, seen=lambda name, out: out):
    """Options for one call of the model. modules: hook.Modules; rows: as swap_rows takes them; x: what the model is called with; called:
    Counter of the calls of each side so far; seen(name, out) -> out: of the attention of each layer that is mixed."""
    chunks = _chunks(options, x, len(rows))
    with ExitStack() as stack:
        if modules.family.injects:
            options, around = _from_embeddings(stack, modules, diffusion_model, rows, options, chunks)
        else:
            around = _from_rows(rows, chunks, called)
        if around:
            told = {name: partial(_told, name, function, seen) for name, function in around.items()}
            options = stack.enter_context(hook.attentions(modules, diffusion_model, options, told, len(x)))
        yield options


def _told(name, function, seen, attention):
    return seen(name, function(attention))


def record_targets(model, names):
    """(a clone of MODEL, TargetRuns): what the clone draws is kept for the named layers. For families that do not inject."""
    modules, runs, called = hook.Modules(models.family_of(model)), TargetRuns(), Counter()

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        sides = transformer_options["cond_or_uncond"]
        rows = len(x) // len(sides)
        numbers, records = {side: called[side] for side in sides}, {}
        called.update(sides)

        def keep(name, parts):
            for chunk, (side, number) in enumerate(numbers.items()):
                records[side, number, name, 0] = tuple(part[chunk * rows : (chunk + 1) * rows].clone() for part in parts)

        diffusion_model = executor.class_obj.diffusion_model
        with gathered(modules, diffusion_model, transformer_options, names, keep, len(x)) as options:
            drawn = executor(x, t, c_concat, c_crossattn, control, options, **kwargs)
        runs.add(records)
        return drawn

    recording = model.clone()
    add_row_wrapper(recording, around_call)
    return recording, runs


def _chunks(options, x, rows):
    """[(side, number of its first row)] of a call."""
    sides = options["cond_or_uncond"]
    if len(x) != len(sides) * rows:
        raise RuntimeError(
            f"Another node has made the batch of the model's call anew: it has {len(x)} rows, {len(sides) * rows} were expected (tiles do "
            "this). Search with the model from before that node."
        )
    return [(side, chunk * rows) for chunk, side in enumerate(sides)]


def _from_rows(rows, chunks, called):
    """{layer: what stands in its attention} where targets are rows, of this batch or of one that was kept."""
    given, kept = {}, {}
    for side, first in chunks:
        number, called[side] = called[side], called[side] + 1
        for taker, row in enumerate(rows):
            for name in () if row is None else row.names:
                if isinstance(row.target, int):
                    given.setdefault(name, []).append((first + taker, first + row.target, row.weight(name)))
                else:
                    runs, giver = row.target
                    kept.setdefault(name, []).append(([first + taker], runs.get(side, number, name, giver), row.weight(name)))
    return {name: partial(_take, given.get(name, []), kept.get(name, [])) for name in {*given, *kept}}


def _take(given, kept, attention):
    parts = attention.text_parts() if given else ()
    whole = [(taker, giver) for taker, giver, w in given if not torch.is_tensor(w) and w == 1]
    targets = [([taker], tuple(part[[giver]] for part in parts), w) for taker, giver, w in given if torch.is_tensor(w) or w != 1]
    if whole:
        takers, givers = map(list, zip(*whole, strict=True))
        targets.append((takers, tuple(part[givers] for part in parts), 1))
    return with_rows(attention, [*targets, *kept])


def _from_embeddings(stack, modules, diffusion_model, rows, options, chunks):
    """stack: what the call's end closes. (options, {layer: what stands in its attention}) of a U-Net; only the positive side takes."""
    targets, weights = {}, {}
    for side, first in chunks:
        for taker, row in enumerate(rows):
            for name in row.names if row is not None and side == 0 else ():
                targets.setdefault(name, []).append(([first + taker], row.target))
                weights.setdefault(name, []).append(([first + taker], row.weight(name)))
    if not targets:
        return options, {}
    mixtures = [name for name, own in weights.items() if any(torch.is_tensor(w) or w != 1 for _, w in own)]
    texts = {name: lambda context, own=own: with_texts(context, own) for name, own in targets.items()}
    options, beside = stack.enter_context(hook.contexts(modules, diffusion_model, options, texts, mixtures))
    layers = modules.layers(diffusion_model, mixtures)

    def mix(name, attention):
        k, v = hook.projected(layers[name], *beside[name])  # a block that is computed again for its gradient asks again
        return with_rows(attention, [(taken, (k[taken], v[taken]), w) for taken, w in weights[name]])

    return options, {name: partial(mix, name) for name in mixtures}
