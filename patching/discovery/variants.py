"""Other prompts, made of one: another text of the same length, a longer one, other things beside the text.

plain      the first entry of a prompt, at work everywhere and always
fields     names of what a text encoder has put into it
other      with another text in some of these fields
longer     with nearly twice the text
beside     with other things beside the text
"""

import copy
from types import SimpleNamespace

import torch

from ..conditioning import PLACES
from ..family import TEXT_FIELDS

EMBEDDINGS = "cross_attn"
_LEFT_OUT = {*PLACES, "control", "control_apply_to_uncond", "mask_strength", "set_area_to_bounds"}
_DEPTH = 4


def plain(conditioning):
    """(embeddings, what is beside) -> CONDITIONING of one row without a place, a ControlNet or hooks of its own."""
    embeddings, extra = conditioning[0]
    extra = {name: value for name, value in extra.items() if name not in _LEFT_OUT}
    texts = {name: value[:1] for name, value in extra.items() if name in TEXT_FIELDS and torch.is_tensor(value) and value.ndim > 1}
    return [[embeddings[:1], {**extra, **texts}]]


def fields(prompt):
    _, extra = prompt[0]
    return [EMBEDDINGS, *(name for name, value in extra.items() if name in TEXT_FIELDS and torch.is_tensor(value) and not _is_mask(name))]


def other(prompt, names, shift=1):
    """shift: another one for another text."""
    return _with(prompt, names, lambda name, value: _exchanged(value, shift))


def longer(prompt):
    return _with(prompt, [EMBEDDINGS, *TEXT_FIELDS], _lengthened)


def beside(prompt):
    """The same prompt itself where there is nothing that could be another."""
    embeddings, extra = prompt[0]
    changed = {name: _changed(value, _DEPTH) for name, value in extra.items() if name not in TEXT_FIELDS}
    if all(changed[name] is extra[name] for name in changed):
        return prompt
    return [[embeddings, {**extra, **changed}]]


def _with(prompt, names, change):
    embeddings, extra = prompt[0]
    changed = {name: change(name, extra[name]) for name in names if torch.is_tensor(extra.get(name))}
    return [[change(EMBEDDINGS, embeddings) if EMBEDDINGS in names else embeddings, {**extra, **changed}]]


def _is_mask(name):
    return "mask" in name or name.endswith(("_weights", "_tags"))


def _exchanged(value, shift):
    """Embeddings have other channels and another mean, and those that are zero stay so. Of token numbers the first and the last ones, which
    have meanings of their own, are left."""
    if value.is_floating_point():
        return value.roll(shift, -1) * (1 - 0.1 * shift)
    tokens = value.shape[-1]
    places = torch.arange(tokens)
    middle = slice(1 + tokens // 8, tokens - 1 - tokens // 8)
    places[middle] = places[middle].roll(shift)
    return value[..., places]


def _lengthened(name, value):
    axis = -1 if _is_mask(name) or name.endswith("_ids") else -2
    if value.ndim < (3 if axis == -2 else 1):
        return value  # the embedding of the whole prompt
    tokens = value.shape[axis]
    # The last one stays the last, because it may have a meaning of its own.
    places = [*range(max(1, tokens - 1)), *range(tokens)]
    return value.index_select(axis, torch.tensor(places))


def _changed(value, depth):
    """The same object where it holds no numbers."""
    if torch.is_tensor(value):
        return value.roll(1, -1) * 0.9 if value.is_floating_point() else value
    if depth and isinstance(value, (list, tuple)):
        changed = [_changed(one, depth - 1) for one in value]
        return value if all(a is b for a, b in zip(changed, value, strict=True)) else type(value)(changed)
    if depth and isinstance(value, dict):
        changed = {name: _changed(one, depth - 1) for name, one in value.items()}
        return value if all(changed[name] is value[name] for name in value) else changed
    if depth and (isinstance(value, SimpleNamespace) or type(value).__module__ == "comfy.clip_vision"):
        changed = {name: _changed(one, depth - 1) for name, one in vars(value).items()}
        if any(changed[name] is not own for name, own in vars(value).items()):
            value = copy.copy(value)
            vars(value).update(changed)
    return value
