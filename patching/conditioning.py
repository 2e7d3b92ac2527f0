"""What the target's conditioning is for a run of the source: the source's own, with another text.

with_text     entries of the source with the target's text
same_text     whether it is the source's
encoded       what the model is given for them
check_target  that a CONDITIONING can be a model's target at all
place_of      what says where or when an entry is at work, in words

All that an entry carries beside its text (guidance, references, a hole, ControlNet, LoRA hooks, an area) says how to draw, and is the
source's, whatever the family and the method.
"""

import torch

from .call import equal
from .comfy import encode
from .family import TEXT_FIELDS

_TEXT = TEXT_FIELDS | {"cross_attn"}
# What would say where or when the target is at work, with the value that says nothing.
PLACES = {
    "area": (None, "an area"),
    "mask": (None, "a mask"),
    "strength": (1.0, "a strength"),
    "start_percent": (0.0, "a time range"),
    "end_percent": (1.0, "a time range"),
    "clip_start_percent": (0.0, "a time range"),
    "clip_end_percent": (1.0, "a time range"),
    "hooks": (None, "hooks (a LoRA)"),
}
# Nothing of these becomes tokens beside the text's.
_KNOWN = {*_TEXT, *PLACES, "control", "mask_strength", "set_area_to_bounds", "uuid", "model_conds"}
_NUMBERS = (type(None), bool, int, float, str)


def place_of(entry):
    """In words; None for one that is at work everywhere and always. entry: as a sampling run has it."""
    return next((words for name, (nothing, words) in PLACES.items() if not _equal(entry.get(name, nothing), nothing)), None)


def check_target(family, diffusion_model, kind, conditioning):
    """Raises ValueError for embeddings of another width and for a pooled embedding that is needed and missing."""
    if not conditioning:
        raise ValueError(f"The target's {kind} conditioning is empty.")
    widths = family.text_width(diffusion_model)
    widths = widths if isinstance(widths, tuple) else (widths,)
    for embeddings, extra in conditioning:
        if embeddings.shape[-1] not in widths:
            raise ValueError(
                f"The target's {kind} conditioning comes from another text encoder: its embeddings have {embeddings.shape[-1]} "
                f"channels, this model takes {' or '.join(map(str, widths))}. Encode the target with the same CLIP as the source."
            )
        if family.pooled and extra.get("pooled_output") is None:
            raise ValueError(f"The target's {kind} conditioning lacks the pooled embedding that this model needs.")


def with_text(family, kind, source, target):
    """Entries of the source, each with the text of the target's entry (the only one, or that of the same number). Both as a sampling run
    has them, before the model has encoded them. Families that inject take the embeddings alone: the pooled ones stay the source's.

    Raises ValueError for numbers of entries that do not match, for an entry of the target that brings an area, a mask, a strength, a time
    range or hooks of its own, and for one that another text encoder has made.
    """
    if len(target) not in (1, len(source)):
        raise ValueError(
            f"The target's {kind} conditioning has {len(target)} entries, the source's has {len(source)}. "
            "Give the target one entry, or one for each of the source's."
        )
    names = {"cross_attn"} if family.injects else _TEXT
    return [_with_text(family, names, kind, own, target[number if len(target) > 1 else 0]) for number, own in enumerate(source)]


def same_text(source, texted):
    """Whether entries that with_text gave have the source's text after all."""
    return all(_equal(own.get(name), entry.get(name)) for own, entry in zip(source, texted, strict=True) for name in _TEXT)


def encoded(model, kind, source, texted, noise, device, **given):
    """`model_conds` of entries that with_text gave, as a sampling run would make them. model: ComfyUI's BaseModel; source: the entries as
    the run has prepared them (areas and masks in the size of the latents); given: what else the run knows, see comfy.encode."""
    prepared = []
    for own, entry in zip(source, texted, strict=True):
        beside = {name: value for name, value in own.items() if name not in _TEXT}
        text = {name: value for name, value in entry.items() if name in _TEXT}
        prepared.append({**beside, **text, "model_conds": entry["model_conds"]})
    return [entry["model_conds"] for entry in encode(model, prepared, kind, noise, device, **given)]


def _with_text(family, names, kind, source, target):
    for name, (nothing, words) in PLACES.items():
        brought = target.get(name, nothing)
        if not _equal(brought, nothing) and not _equal(brought, source.get(name, nothing)):
            raise ValueError(
                f"The target's {kind} conditioning has {words} of its own. The target draws with all that the source carries beside its "
                "text, so it cannot be at work at another place or time: set it on the sampler's prompt, or take it off the target (the "
                "input start_step says when the target begins)."
            )
    _check_layout(names, kind, source, target)
    held = [name for name, value in source.items() if name not in _KNOWN and not isinstance(value, _NUMBERS)]
    if unseen := family.unseen(held):
        raise ValueError(
            f"The sampler's {kind} conditioning carries {', '.join(unseen)}. The text layers of this model were found by looking at a "
            "prompt without, and where the text stands beside it is not known. Connect a prompt that has it to the input prompt of Text "
            "Layers."
        )
    text = {name: value for name, value in target.items() if name in names}
    beside = {name: value for name, value in source.items() if name not in names}
    return {**beside, **text, "model_conds": {**source["model_conds"], **target["model_conds"]}}


def _check_layout(names, kind, source, target):
    for name in _TEXT:
        theirs, own = target.get(name), source.get(name)
        if torch.is_tensor(theirs) and torch.is_tensor(own):
            # The last axis of these is the number of tokens, which may differ.
            by_token = name.startswith("attention_mask") or name.endswith(("_ids", "_weights", "_tags"))
            same = theirs.ndim == own.ndim and (by_token or theirs.shape[-1] == own.shape[-1])
        else:
            # Masks are left out where nothing is hidden, and letters are encoded apart only where there are quotes.
            left_out = name not in names or name in ("cross_attn", "attention_mask", "conditioning_byt5small")
            same = left_out or torch.is_tensor(theirs) == torch.is_tensor(own)
        if not same:
            raise ValueError(
                f"The target's {kind} conditioning comes from another text encoder than the source's: {_words(name)} is "
                f"{_described(theirs)}, the source's {_described(own)}. Encode both with the same CLIP."
            )


def _words(name):
    return {"cross_attn": "its embedding", "pooled_output": "its pooled embedding"}.get(name, f'its "{name}"')


def _described(value):
    return f"of {' x '.join(map(str, value.shape))} numbers" if torch.is_tensor(value) else "missing" if value is None else "something else"


def _equal(a, b):
    if hasattr(a, "hooks") and hasattr(b, "hooks"):
        return len(a.hooks) == len(b.hooks) and all(map(_equal_hooks, a.hooks, b.hooks))
    return equal(a, b)


def _equal_hooks(a, b):
    """Whether two hooks do the same; each node that makes one gives it another reference."""
    if a == b:
        return True
    frames = [[(frame.strength, frame.start_percent) for frame in hook.hook_keyframe.keyframes] for hook in (a, b)]
    one, other = (getattr(hook, "weights", None) for hook in (a, b))
    if type(a) is not type(b) or frames[0] != frames[1] or one is None or other is None:
        return False
    strengths = [(hook._strength_model, hook._strength_clip) for hook in (a, b)]
    return strengths[0] == strengths[1] and one.keys() == other.keys() and all(map(equal, one.values(), other.values()))
