"""What a node declares of its inputs holds, wherever their values come from.

checked    around a node's execute

ComfyUI holds numbers and choices that stand in a prompt to their range, but not what comes over a link; it lets NaN pass, and any value
where a model or a picture should be connected. And its worker ends for good when an error's message holds half a character.
"""

import functools
import inspect
import math
from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
import torch

from ..patching.messages import helped, is_broken, shortened
from ..patching.text_layers import TextLayers

_CHANNELS = 4  # of a picture: grey, grey and alpha, colours, colours and alpha
_LONGEST = 200  # characters of a value in a message


def checked(execute):
    """Of a node's execute(cls, ...), below @classmethod. Raises ValueError that names the input, what it got and what it takes."""
    signature = inspect.signature(execute)

    @functools.wraps(execute)
    @helped()
    def checking(cls, *args, **kwargs):
        given = signature.bind(cls, *args, **kwargs).arguments
        schema = cls.define_schema()
        for declared in schema.inputs:
            if declared.id in given:
                value = given[declared.id]
                for one in value if schema.is_input_list and isinstance(value, list) else [value]:
                    _check(declared, one)
        return execute(cls, *args, **kwargs)

    return checking


def _check(declared, value):
    if value is None and declared.optional:
        return
    kind = declared.get_io_type()
    if kind in ("INT", "FLOAT"):
        problem = _number(declared, value, kind == "INT")
    elif kind == "COMBO":
        problem = None if _is_among(value, declared.options) else _choice(declared.options)
    elif kind == "BOOLEAN":
        problem = None if isinstance(value, bool | np.bool_) else "it takes true or false"
    elif kind == "STRING":
        problem = _text(value)
    elif kind in _SOCKETS:
        fits, advice = _SOCKETS[kind]
        problem = None if fits(value) else advice
    else:
        problem = None
    if problem:
        raise ValueError(f"{declared.id} is {_shown(value)}, but {problem}.")


def _number(declared, value, whole):
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        return "it takes a whole number" if whole else "it takes a number"
    if not math.isfinite(value) or not declared.min <= value <= declared.max:
        return f"it takes {declared.min} to {declared.max}"
    return None


def _is_among(value, options):
    return isinstance(value, str) and value in options


def _choice(options):
    listed = ", ".join(map(str, options[:20])) + (f" and {len(options) - 20} more" if len(options) > 20 else "")
    return f"it takes one of these: {listed}" if options else "there is nothing to choose from yet"


def _text(value):
    if not isinstance(value, str):
        return "it takes text"
    if is_broken(value):
        return "this text is broken: it has half a character (a lone surrogate). Type it again"
    return None


def _is_conditioning(value):
    return isinstance(value, list | tuple) and all(
        isinstance(entry, list | tuple) and len(entry) == 2 and torch.is_tensor(entry[0]) and isinstance(entry[1], dict) for entry in value
    )


def _has(*names):
    return lambda value: all(hasattr(value, name) for name in names)


# Type of socket -> (whether a value fits, what to do otherwise). Other packs' own kinds of models are known by what they can do.
_SOCKETS = {
    "MODEL": (_has("get_model_object", "clone", "model_options"), "it takes a model: connect the MODEL of a loader"),
    "CLIP": (
        _has("tokenize", "encode_from_tokens_scheduled"),
        "it takes a text encoder: connect the CLIP of a loader that has one, or a CLIP loader",
    ),
    "VAE": (_has("encode", "decode"), "it takes a VAE: connect the VAE of a loader that has one, or Load VAE"),
    "LATENT": (
        lambda value: isinstance(value, Mapping) and hasattr(value.get("samples"), "shape"),
        "it takes latents: connect Empty Latent Image or VAE Encode",
    ),
    # A MASK has one axis less: it would be read as a single picture of the batch's height.
    "IMAGE": (
        lambda value: torch.is_tensor(value) and value.ndim >= 4 and value.shape[-1] <= _CHANNELS and value.is_floating_point(),
        "it takes pictures, batch x height x width x 1 to 4 channels from 0 to 1: connect Load Image, VAE Decode or another node that "
        "gives an IMAGE, and Convert Mask to Image behind a MASK",
    ),
    "CONDITIONING": (_is_conditioning, "it takes an encoded prompt: connect CLIP Text Encode"),
    "GUIDER": (_has("sample", "model_patcher"), "it takes a guider: connect Basic Guider or CFG Guider"),
    "SIGMAS": (lambda value: torch.is_tensor(value) and value.ndim == 1, "it takes a schedule: connect Basic Scheduler"),
    "TEXT_LAYERS": (
        lambda value: isinstance(value, TextLayers),
        "it takes text layers: connect Text Layers, Load Text Layers or Localize Text Layers",
    ),
    "LORA_MODEL": (
        lambda value: (
            isinstance(value, Mapping) and len(value) > 0 and all(isinstance(k, str) and torch.is_tensor(v) for k, v in value.items())
        ),
        "it takes a LoRA with at least one tensor: connect Train Localized LoRA or Cut LoRA To Text Layers",
    ),
}


def _shown(value):
    """For a message: short, and without half characters."""
    if value is None:
        return "empty"
    if isinstance(value, bool | Real):
        return str(value)[:_LONGEST]
    if torch.is_tensor(value):
        return f"a tensor of {' x '.join(map(str, value.shape))} ({str(value.dtype).removeprefix('torch.')})"
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    return f'"{shortened(value, _LONGEST)}"'
