"""A LoRA file on the text layers of a model, with one strength there and another elsewhere.

load_lora    MODEL (and CLIP) with the LoRA, and how much of the file went where
cut          the part of a file that is on the text layers
"""

from dataclasses import dataclass

import comfy.lora

from ..patching import models
from .metadata import LoraTensors


@dataclass(frozen=True)
class Loaded:
    """model, clip: patched copies, or what came in where nothing of the file is for it; report: lines for people."""

    model: object
    clip: object
    report: str


def load_lora(file, model, text_layers, in_layers=1.0, elsewhere=0.0, clip=None, in_clip=0.0):
    """file: files.LoraFile, of any format that comfy.lora maps. in_layers, elsewhere, in_clip: strengths. Both of the model at one
    strength give what ComfyUI's own loader gives.

    Raises ValueError when the file has nothing for the model, when its shapes are another model's, or when it has nothing where a
    strength is not 0.
    """
    models.check(model, text_layers)
    inside, outside = _split(_of_model(file, model, comfy.lora.model_lora_keys_unet(model.model, {})), text_layers)
    of_clip = _mapped(file, comfy.lora.model_lora_keys_clip(clip.cond_stage_model, {})) if clip and in_clip else {}
    if not inside and not outside:
        raise ValueError(f"This LoRA fits no module of the connected model ({models.architecture(model)}). {file.description()}")
    parts = [(inside, in_layers), (outside, elsewhere)]
    if not any(part and strength for part, strength in [*parts, (of_clip, in_clip)]):
        raise ValueError(
            f"Nothing of this LoRA would be used: {len(inside)} of its {len(inside) + len(outside)} weights are in the text layers, "
            f"where the strength is {in_layers:g}, and elsewhere it is {elsewhere:g}. {file.description()}"
        )
    patched = model.clone()
    for part, strength in parts:
        if part and strength:
            patched.add_patches(part, strength)
    if of_clip:
        clip = clip.clone()
        clip.add_patches(of_clip, in_clip)
    return Loaded(patched, clip, _report(file, inside, outside, of_clip, in_layers, elsewhere, in_clip))


def cut(file, model, text_layers):
    """metadata.LoraTensors of what the file has on the text layers. Raises ValueError when there is nothing."""
    models.check(model, text_layers)
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    _of_model(file, model, keys)  # raises where the file is another model's
    kept = file.of_modules(lambda name: name in keys and _is_inside(keys[name], text_layers))
    if not kept:
        raise ValueError(f"This LoRA has nothing in the chosen text layers. {file.description()}")
    # What the file says of its whole is not true of a part.
    about = {name: value for name, value in file.metadata.items() if "hash" not in name}
    return LoraTensors(kept, about | {"text_layers": text_layers.to_json(), "text_layers.cut_from": file.name})


def _mapped(file, keys):
    """{weight, or (weight, slice): what the file does to it}"""
    return comfy.lora.load_lora(dict(file.tensors), keys, log_missing=False)


def _of_model(file, model, keys):
    """What the file does to the model's weights; ComfyUI also names weights that are in other models of the kind only.

    Raises ValueError for another shape: ComfyUI logs what does not fit and goes on without it."""
    weights = model.model.state_dict()
    patches = {key: patch for key, patch in _mapped(file, keys).items() if _weight(key) in weights}
    for key, patch in patches.items():
        weight, made = weights[_weight(key)], _size(patch)
        part = None if isinstance(key, str) else key[1]  # (dimension, start, length), or None where the change is only reordered
        wanted = weight.numel() // weight.shape[part[0]] * part[2] if part else weight.numel()
        if made not in (None, wanted):
            raise ValueError(
                f"This LoRA is for another model: {_weight(key)} has {wanted:,} numbers here, and the file's change of it {made:,}. "
                f"{file.description()}"
            )
    return patches


def _weight(key):
    """Where several projections are one weight, ComfyUI names a slice of it."""
    return key if isinstance(key, str) else key[0]


def _is_inside(key, text_layers):
    return any(_weight(key).startswith(f"diffusion_model.{name}.") for name in text_layers.names)


def _split(patches, text_layers):
    inside = {key: patch for key, patch in patches.items() if _is_inside(key, text_layers)}
    return inside, {key: patch for key, patch in patches.items() if key not in inside}


def _size(patch):
    """How many numbers a patch changes; None where only ComfyUI can tell."""
    if isinstance(patch, tuple):
        return patch[1][0].numel() if patch[0] == "diff" else None
    v = patch.weights
    if patch.name == "lora" and v[3] is None and v[5] is None:
        return v[0].shape[0] * v[1].numel() // v[1].shape[0]
    if patch.name == "loha" and v[5] is None:
        return v[0].shape[0] * v[1].shape[1]
    if patch.name == "lokr" and v[7] is None:
        first = v[0].numel() if v[0] is not None else v[3].shape[0] * v[4].shape[1]
        return first * (v[1].numel() if v[1] is not None else v[5].shape[0] * v[6].numel() // v[6].shape[0])
    return None


def _report(file, inside, outside, of_clip, in_layers, elsewhere, in_clip):
    whole = len(inside) + len(outside)
    return "\n".join(
        [
            file.description(),
            f"In the text layers: {len(inside)} of {whole} weights ({len(inside) / whole:.0%}), strength {in_layers:g}.",
            f"Elsewhere: {len(outside)} weights, strength {elsewhere:g}.",
            *([f"In the text encoders: {len(of_clip)} weights, strength {in_clip:g}."] if of_clip else []),
        ]
    )
