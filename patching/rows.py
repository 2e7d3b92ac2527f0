"""Rows of one batch that swap different layers: what localization tries, many candidates in one call of the model.

swap_rows   MODEL -> MODEL for one batch, in which each row takes the text's keys and values of another row in its own layers

The row that gives runs beside the ones that take, from the same noise, so it is the target's own run of patch_prompt: call n of
the target goes into call n of the source, without being kept.
"""

from collections.abc import Collection, Sequence

import comfy.model_management

from . import families
from .comfy_sampling import add_row_wrapper


def swap_rows(model, rows: Sequence[tuple[int, Collection[str]] | None]):
    """A clone of MODEL for a batch of len(rows). rows: for each row of the batch None, or (row that gives, names of layers).

    A row that gives must not take. The conditioning needs one row of embeddings for each row of the batch.
    Raises ValueError for a row or a layer that is not there.
    """
    family = families.family_of(model)
    known = set(families.layer_names(model))
    for row in rows:
        if row is not None:
            giver, names = row
            if not 0 <= giver < len(rows) or rows[giver] is not None:
                raise ValueError(f"Row {giver} cannot give its keys and values: the batch has {len(rows)} rows, and a giver must not take.")
            if not known.issuperset(names):
                raise ValueError(f"The model has no text layer {next(iter(set(names) - known))}.")
    swaps = {}
    for taker, row in enumerate(rows):
        for name in row[1] if row is not None else ():
            swaps.setdefault(name, []).append((taker, row[0]))

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        comfy.model_management.throw_exception_if_processing_interrupted()
        chunks = len(x) // len(rows)
        here = {
            name: [(chunk * len(rows) + taker, chunk * len(rows) + giver) for chunk in range(chunks) for taker, giver in pairs]
            for name, pairs in swaps.items()
        }
        options = family.swap_rows(transformer_options, here) if here else transformer_options
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    swapping = model.clone()
    add_row_wrapper(swapping, around_call)
    return swapping
