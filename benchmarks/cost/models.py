"""What is sampled, and with which checkout's code it is patched.

MODELS   name -> a function that builds a Setting, given the side of a full-size model's latents
SMALL    those that take so little time that they can be sampled often
edits    {method: call} of the pack that is imported by some name
pack     the same pack's presets and patch_prompt
"""

import importlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.sample
import comfy.supported_models
import torch

from ...demo import comfy_model, pictures
from ...patching.drawn import DRAWN
from ...testing import full_size

WORD = (9, 10, 11)  # its tokens in a random conditioning


@dataclass(frozen=True)
class Setting:
    model: Any
    prompts: list  # source and target
    shape: tuple
    steps: int

    def sample(self, model):
        noise = torch.randn(self.shape, generator=torch.Generator().manual_seed(0))
        source = self.prompts[0]
        return comfy.sample.sample(
            model, noise, self.steps, 5.0, "euler", "normal", source, source, torch.zeros(self.shape), disable_pbar=True, seed=0
        )

    def plain(self):
        return self.sample(self.model)


def _demo(name, side):
    model, clip, _ = comfy_model.load(name)
    prompts = [pictures.encode(clip, [f'a red sign on a blue wall that says "{word}"']) for word in ("CAFE", "HOTEL")]
    return Setting(model, prompts, (4, 12, 16, 32), 12)


def _full(kind, config, width, pooled, channels, side):
    model = full_size.random_model(getattr(comfy.supported_models, kind), config)
    generator = torch.Generator().manual_seed(0)
    prompts = [
        [
            [
                torch.randn(1, 77, width, generator=generator),
                {"pooled_output": torch.randn(1, pooled, generator=generator), DRAWN: [[(word, WORD)]]},
            ]
        ]
        for word in ("CAFE", "HOTEL")
    ]
    return Setting(model, prompts, (1, channels, side, side), 2)


MODELS = {
    "demo unet": partial(_demo, "unet"),
    "demo mmdit": partial(_demo, "mmdit"),
    "SDXL, full size": partial(_full, "SDXL", full_size.SDXL, 2048, 1280, 4),
    "SD3-medium, full size": partial(_full, "SD3", full_size.SD3_MEDIUM, 4096, 2048, 16),
}
SMALL = ("demo unet", "demo mmdit")


def pack(name):
    """(module that knows models, module that patches). They had other names in older checkouts."""
    try:
        return tuple(importlib.import_module(f"{name}.patching.{module}") for module in ("models", "patch"))
    except ModuleNotFoundError:
        return tuple(importlib.import_module(f"{name}.patching.{module}") for module in ("families", "swap"))


def edits(setting, name):
    """(names of the layers, {method: call})"""
    models, patch = pack(name)
    layers = models.preset(setting.model)
    # Where keys and values depend on the text alone, all methods are the same.
    methods = patch.METHODS if models.family_of(setting.model).evolves else patch.METHODS[:1]
    patched = {method: patch.patch_prompt(setting.model, layers, setting.prompts[1], method=method) for method in methods}
    if name == "text_layers":  # older checkouts have none
        source, own = setting.plain(), methods[0]
        patched[f"{own}, keep"] = patch.patch_prompt(setting.model, layers, setting.prompts[1], method=own, keep=source)
    return layers.names, {method: partial(setting.sample, model) for method, model in patched.items()}
