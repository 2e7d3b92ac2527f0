"""How LoRA files spell what they hold: the formats that ComfyUI reads, asked from ComfyUI itself, and public ones that it does not.

endings     what can stand behind a module's name in a key
module_of   a key without its ending
plain       a key as ComfyUI spells it, where peft put an adapter's name in between
spelling    a module's name without what only its format puts around it
MAGNITUDE, UP_BIAS   endings of peft that ComfyUI does not know
"""

import functools
import re

import comfy.lora
import torch

MAGNITUDE = ".lora_magnitude_vector"  # of DoRA
UP_BIAS = ".lora_B.bias"

_NAMED = re.compile(r"(\.lora_(?:A|B|embedding_A|embedding_B))\.[^.]+(\.weight|\.bias)$")
_MAGNITUDES = re.compile(re.escape(MAGNITUDE) + r"(\.[^.]+)*$")
_AROUND = re.compile(
    r"^(lora_unet_|lora_transformer_|lora_prior_unet_|lycoris_|base_model\.model\.|model\.diffusion_model\.|diffusion_model\.|"
    r"transformer\.|unet\.)+"
)


class _Asked(dict):
    """Notes which keys are asked for; has those that `present` accepts, as tensors of so many dimensions."""

    def __init__(self, present, dimensions=1):
        super().__init__()
        self.present, self.dimensions, self.names = present, dimensions, []

    def keys(self):
        return self

    def __contains__(self, name):
        self.names.append(name)
        return self.present(name)

    def __getitem__(self, name):
        self.names.append(name)
        return torch.zeros([1] * self.dimensions)

    def get(self, name, default=None):
        if name not in self:
            return default
        return self[name]


@functools.cache
def endings():
    """Longest first. Those that a file lacks are asked for, too, and each of them leads to others: with each alone, all that ComfyUI's
    classes of adapters could read is asked for."""

    def asked(present, dimensions=1):
        file = _Asked(present, dimensions)
        comfy.lora.load_lora(file, {"module": "module.weight"}, log_missing=False)
        return {name.removeprefix("module") for name in file.names}

    first = asked(lambda name: False)
    found = set(first) | {MAGNITUDE, UP_BIAS}
    for alone in first:
        for dimensions in (3, 4):  # OFT and BOFT have one key, and are told apart by it
            found |= asked(lambda name, alone=alone: name.removeprefix("module") in {alone} or name.removeprefix("module") not in first,
                           dimensions)  # fmt: skip
    return sorted(found, key=len, reverse=True)


def module_of(key):
    """For people and for counting; which module of a model a key is for depends on the model, see fit."""
    key = plain(key)
    return next((key.removesuffix(ending) for ending in endings() if key.endswith(ending)), key)


def is_lora(key):
    return module_of(key) != plain(key)


def plain(key):
    return _MAGNITUDES.sub(MAGNITUDE, _NAMED.sub(r"\1\2", key))


def spelling(module):
    """The same for one module in kohya's, diffusers', peft's, LyCORIS's and OneTrainer's files."""
    return re.sub(r"[._]processor_", "_", _AROUND.sub("", module).replace(".", "_"))
