"""The tiny models beside whose nodes ours is tried, with their prompts and noise."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import comfy.sample
import torch

from ..patching import models
from ..patching.patch import METHODS, patch_prompt
from . import oracle_fixture
from .tiny_models import MODELS

STEPS = 3  # a cache leaves out the second's call and not the third's
INDEX = 4  # the patched layer


class Bench(NamedTuple):
    name: str
    model: Any
    noise: torch.Tensor
    source: list
    target: list
    negative: list

    @property
    def methods(self):
        return METHODS if models.family_of(self.model).evolves else METHODS[:1]

    def draw(self, model, positive=None, negative=None, steps=STEPS):
        return comfy.sample.sample(
            model, self.noise, steps, 5.0, "euler", "normal", positive or self.source, negative or self.negative,
            torch.zeros_like(self.noise), disable_pbar=True, seed=3,
        )  # fmt: skip

    def edit(self, model, positive=None, indices=str(INDEX), method=METHODS[0], **options):
        return patch_prompt(model, models.written(model, indices), positive or self.target, method=method, **options)

    def everything(self):
        return f"0-{len(models.layer_names(self.model)) - 1}"


@cache
def bench(name):
    if name == "flux":
        tiny = next(tiny for tiny in MODELS if tiny.kind == "Flux")
        return Bench(name, tiny.build(), tiny.noise(), *map(tiny.conditioning, range(3)))
    fixture = oracle_fixture.load(name, Path(__file__).parents[1] / "tests" / "oracle" / name)
    return Bench(name, fixture.model, fixture.noise, fixture.positive_A, fixture.positive_B, fixture.negative)


@cache
def plain(name, steps=STEPS):
    """What the model draws before any node has been there."""
    return bench(name).draw(bench(name).model, steps=steps)


def differs(one, other):
    return (one - other).abs().max() > 1e-3 * other.abs().max()
