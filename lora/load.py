"""A LoRA file on the text layers of a model, with one strength there and another elsewhere.

load_lora    MODEL (and CLIP) with the LoRA, and how much of the file went where
matched      what of a file is for the text layers, the rest of the model and the text encoders, and what for nothing
cut          the part of a file that is on the text layers
"""

import re
from dataclasses import dataclass

import comfy.lora

from ..patching import models
from .files import listed
from .fit import Fit, fit, is_plain_peft
from .metadata import LoraTensors, peft_scale

_OF_CLIP = re.compile(r"(lora_(prior_)?te\d?_|(base_model\.model\.)?text_encoders?(_\d)?\.)")


@dataclass(frozen=True)
class Loaded:
    """model, clip: patched copies, or what came in where nothing of the file is for it; report: lines for people."""

    model: object
    clip: object
    report: str


@dataclass(frozen=True)
class Matched:
    """inside, outside, of_clip: {target: fit.Change} of the text layers, the rest of the model and the text encoders; unused: {key of the
    file: why} of no change that could take effect."""

    inside: dict
    outside: dict
    of_clip: dict
    unused: dict

    def parts(self):
        return self.inside, self.outside, self.of_clip


def matched(file, model, text_layers, clip=None):
    of_model = _fit_model(file, model)
    of_clip = fit(file, comfy.lora.model_lora_keys_clip(clip.cond_stage_model, {}), clip.cond_stage_model) if clip else Fit()
    in_clip = {key for change in of_clip.changes.values() for key in change.keys}
    unused = dict.fromkeys(file.others, "neither a tensor nor a number")
    for key, why in of_model.unused.items():
        if key not in in_clip:
            # What the text encoders' own says of a key that is theirs says more.
            unused[key] = of_clip.unused.get(key, why) if clip and _OF_CLIP.match(key) else _without_clip(key, why)
    for found in (of_model, of_clip):
        for change in found.changes.values():
            unused |= dict.fromkeys(change.keys, change.problem) if change.problem else {}
    inside = {target: change for target, change in of_model.changes.items() if _is_inside(change.weight, text_layers)}
    outside = {target: change for target, change in of_model.changes.items() if target not in inside}
    in_order = [key for key in (*file.tensors, *file.others) if key in unused]
    unused = {name: unused[key] for key in in_order for name in file.keys_as_spelt([key])}
    return Matched(inside, outside, of_clip.changes, unused)


def load_lora(file, model, text_layers, in_layers=1.0, elsewhere=0.0, clip=None, in_clip=0.0):
    """file: files.LoraFile, of any format that comfy.lora maps, or peft's DoRA and biases. in_layers, elsewhere, in_clip: strengths. Both
    of the model at one strength give what ComfyUI's own loader gives of the keys that it reads.

    Raises ValueError when the file has nothing for the model, when something does not fit that would be used, or when it has nothing where
    a strength is not 0.
    """
    models.check(model, text_layers)
    found = matched(file, model, text_layers, clip)
    strengths = (in_layers, elsewhere, in_clip if clip else 0.0)
    _refuse_misfits(file, found, strengths)
    if not found.inside and not found.outside and not (found.of_clip and strengths[2]):
        raise ValueError(f"This LoRA fits no module of the connected model ({models.architecture(model)}). {file.description()}")
    if not any(part and strength for part, strength in zip(found.parts(), strengths, strict=True)):
        raise ValueError(
            f"Nothing of this LoRA would be used: {len(found.inside)} of its {len(found.inside) + len(found.outside)} weights are in the "
            f"text layers, where the strength is {in_layers:g}, and elsewhere it is {elsewhere:g}. {file.description()}"
        )
    patched = model.clone()
    for part, strength in zip((found.inside, found.outside), strengths[:2], strict=True):
        if part and strength:
            patched.add_patches(_patches(part), strength)
    if found.of_clip and strengths[2]:
        clip = clip.clone()
        clip.add_patches(_patches(found.of_clip), in_clip)
    return Loaded(patched, clip, _report(file, found, strengths))


def cut(file, model, text_layers):
    """metadata.LoraTensors of what the file has on the text layers. Raises ValueError when there is nothing, or when it does not fit."""
    models.check(model, text_layers)
    found = _fit_model(file, model)
    inside = {target: change for target, change in found.changes.items() if _is_inside(change.weight, text_layers)}
    _refuse_misfits(file, Matched(inside, {}, {}, {}), (1.0, 0.0, 0.0))
    keys = {key for weight, keys in found.modules.values() if _is_inside(weight, text_layers) for key in keys}
    if not inside:
        raise ValueError(f"This LoRA has nothing in the chosen text layers. {file.description()}")
    # What the file says of its whole is not true of a part.
    about = {name: value for name, value in file.metadata.items() if "hash" not in name}
    kept = {key: tensor for key, tensor in file.tensors.items() if key in keys}
    return LoraTensors(kept, about | {"text_layers": text_layers.to_json(), "text_layers.cut_from": file.name})


def report_of_cut(file, kept, model, text_layers):
    """kept: of `cut`. Lines for people."""
    found = matched(file, model, text_layers)
    only_here = [key for change in found.inside.values() if change.beyond for key in change.keys]
    return "\n".join(
        [
            file.description(),
            f"Kept: {len(kept)} of {len(file.tensors)} tensors.",
            *([_not_used(found.unused)] if found.unused else []),
            *(
                [f"ComfyUI's own loaders leave out part of what is kept, and Load Localized LoRA does not: {only_here[0]}."]
                if only_here
                else []
            ),
        ]
    )


def _fit_model(file, model):
    return fit(file, comfy.lora.model_lora_keys_unet(model.model, {}), model.model)


def _is_inside(weight, text_layers):
    return any(weight.startswith(f"diffusion_model.{name}.") for name in text_layers.names)


def _patches(changes):
    return {target: change.patch for target, change in changes.items() if not change.problem}


def _without_clip(key, why):
    return "of a text encoder" if _OF_CLIP.match(key) else why


def _refuse_misfits(file, found, strengths):
    """ComfyUI logs what does not fit and goes on without it."""
    used = [change for part, strength in zip(found.parts(), strengths, strict=True) if strength for change in part.values()]
    misfits = {change.module: change.problem for change in used if change.problem}
    if misfits:
        of = f"{len(misfits)} of {len({change.module for change in used})} modules that would be used do not fit"
        raise ValueError(
            f"This LoRA is for another model, or damaged: {of}: {listed(misfits, 2)}. Where a strength is 0, nothing has to fit. "
            f"{file.description()}"
        )


def _report(file, found, strengths):
    """Lines for people: how many keys are used, and where."""
    inside, outside, of_clip = ([change for change in part.values() if not change.problem] for part in found.parts())
    spelt = [file.keys_as_spelt({key for change in part for key in change.keys}) for part in (inside, outside, of_clip)]
    used = {key for keys, strength in zip(spelt, strengths, strict=True) if strength for key in keys}
    idle = {key for keys in spelt for key in keys} - used
    whole = len(inside) + len(outside)
    share = f" ({len(inside) / whole:.0%})" if whole else ""
    clip = f"{len(of_clip)} weights" if of_clip else "nothing of this file fits the connected CLIP"
    return "\n".join(
        [
            file.description(),
            f"Keys: {len(used)} of {len(used | idle) + len(found.unused)} are used"
            + (f", {len(idle)} are where the strength is 0" if idle else "")
            + (f", {len(found.unused)} are not used." if found.unused else "."),
            f"In the text layers: {len(inside)} of {whole} weights{share}, strength {strengths[0]:g}.",
            f"Elsewhere: {len(outside)} weights, strength {strengths[1]:g}.",
            *([f"In the text encoders: {clip}, strength {strengths[2]:g}."] if strengths[2] else []),
            *([_not_used(found.unused)] if found.unused else []),
            *_scale(file, found),
        ]
    )


def _scale(file, found):
    """ComfyUI reads a scale from the tensors alone."""
    scale = peft_scale(file.metadata)
    if scale in (None, 1.0) or not any(is_plain_peft(change) for part in found.parts() for change in part.values()):
        return []
    return [f"Its metadata say that it was trained with a scale of {scale:g}, which ComfyUI does not read: multiply the strengths by it."]


def _not_used(unused):
    return f"Not used: {listed(unused)}."
