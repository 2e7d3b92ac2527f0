"""What a search's cells depend on, and nothing else: searches with the same identity go on from each other.

of_model   weights, patches and what other nodes have put into a MODEL's options
of_clip    a text encoder; what its tokenizer makes of a prompt counts with the prompt
of_vae     a VAE
of_engine  an OCR engine with its version and settings
of_code    the pack, its mechanism as it is loaded, and ComfyUI

Weights are summed as whole numbers: what a model draws would differ in its last bits with the number of threads. Where something is
computed, and how many rows at once, does not count; in which precision does.
"""

import inspect
import re
from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.utils
import comfyui_version

from ..patching.comfy import is_function, original_weights
from .digest import PLAIN, code, digest

_NOT_THERE = getattr(comfy.utils, "ATTR_UNSET", None)  # what lies in the place of a thing that the model did not have
_ROOT = Path(__file__).parents[1]
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")  # of torch's modules


def of_model(model):
    return _digest(_patcher(model))


def of_clip(clip):
    return _digest(clip)


def of_vae(vae):
    return _digest(vae)


def of_engine(engine):
    own = {name: value for name, value in vars(engine).items() if inspect.isroutine(value)}
    return digest((type(engine), engine.name, engine.language, getattr(engine, "version", ""), _plain(engine), own))


def of_code(*modules):
    """modules: of this pack, at which the mechanism begins."""
    version = re.search(r'^version = "(.+)"', (_ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    return digest((version and version[1], comfyui_version.__version__, code(*modules)))


def _digest(value):
    special = {comfy.model_patcher.ModelPatcher: _patcher, comfy.sd.CLIP: _clip, comfy.sd.VAE: _vae}
    return digest(value, special, comfy.model_management.throw_exception_if_processing_interrupted)


def _patcher(patcher):
    model = patcher.model
    config = getattr(model, "model_config", None)
    # The model's own, also while a patcher's lie in their place: those are named apart.
    kinds, replaced = ("manual_cast_dtype", "model_sampling", "latent_format"), patcher.object_patches_backup
    own = {name: replaced[name] if name in replaced else getattr(model, name, None) for name in kinds}
    own = {name: None if value is _NOT_THERE else value for name, value in own.items()}
    return {
        "class": [type(model), type(getattr(model, "diffusion_model", None)), type(config)],
        "config": [getattr(config, "unet_config", None), getattr(config, "sampling_settings", None)],
        "precision": [own["manual_cast_dtype"], patcher.force_cast_weights],
        "sampling": [getattr(model, "model_type", None), own["model_sampling"], _plain(own["model_sampling"]), own["latent_format"]],
        "weights": original_weights(patcher),
        "weight functions": getattr(patcher, "weight_wrapper_patches", {}),
        "hook weights": list(patcher.hook_patches.values()),
        "object patches": {name: (value, _plain(value)) for name, value in patcher.object_patches.items()},
        "put in": _put_in(patcher),
        "options": patcher.model_options,
        "wrappers": [patcher.wrappers, patcher.callbacks, patcher.injections, patcher.attachments],
        "beside": [patcher.additional_models, patcher.forced_hooks],
    }


def _plain(value):
    """Numbers and texts that an object holds beside tensors."""
    return {name: one for name, one in getattr(value, "__dict__", {}).items() if isinstance(one, PLAIN)}


def _put_in(patcher):
    """Functions in the place of modules' own and around them, other than the patcher's, which are there only while it is loaded."""
    by_patcher = patcher.object_patches_backup
    found = {}
    for path, module in patcher.model.named_modules():
        for name, own in vars(module).items():
            if name in _HOOKS and own:
                found[f"{path}.{name}"] = list(own.values())
            elif is_function(own) and f"{path}.{name}" not in by_patcher:
                found[f"{path}.{name}"] = own
    return found


def _clip(clip):
    own = {name: value for name, value in vars(clip).items() if name not in ("patcher", "tokenizer", "cond_stage_model")}
    return type(clip), type(clip.cond_stage_model), _patcher(clip.patcher), own


_VAE = ("first_stage_model", "vae_dtype", "latent_channels", "latent_dim", "process_input", "process_output", "downscale_ratio",
        "upscale_ratio", "output_channels")  # fmt: skip


def _vae(vae):
    return type(vae), {name: getattr(vae, name, None) for name in _VAE}, getattr(vae.patcher, "patches", None)
