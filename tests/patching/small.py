"""One small model a way of patching, with prompts, for tests that lead it through unusual runs."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import comfy.sample
import torch
from text_layers.patching import models
from text_layers.patching.patch import METHODS, OWN_RUN, patch_prompt
from text_layers.testing import oracle_fixture
from text_layers.testing.tiny_models import MODELS

SAME = 1e-3  # of what patching changes: another size of batch is another order of float operations
# A U-Net, joint attention in both methods, and keys and values of the text alone: in cross-attention and among the picture's.
CASES = (
    ("sdxl", OWN_RUN),
    *(("sd3", m) for m in METHODS),
    ("HunyuanDiT", OWN_RUN),
    ("Stable_Cascade_C", OWN_RUN),
)
LATENTS = {"HunyuanDiT": (4, 16, 16), "Stable_Cascade_C": (16, 8, 8)}


class Small(NamedTuple):
    model: Any
    noise: torch.Tensor
    prompts: list  # source, target, negative, another target

    def draw(self, model=None, positive=None, negative=None, noise=None, steps=2, cfg=4.0, **options):
        noise = self.noise if noise is None else noise
        return comfy.sample.sample(
            model or self.model, noise, steps, cfg, options.pop("sampler", "euler"), "simple", positive or self.prompts[0],
            negative or self.prompts[2], torch.zeros_like(noise), disable_pbar=True, seed=3, **options,
        )  # fmt: skip

    def edit(self, positive=None, model=None, layers=None, method=OWN_RUN, **options):
        model = model or self.model
        chosen = models.written(model, layers or self.everything)
        return patch_prompt(model, chosen, positive or self.prompts[1], method=method, **options)

    @property
    def everything(self):
        return f"0-{len(models.layer_names(self.model)) - 1}"


@cache
def small(kind):
    if kind in ("sdxl", "sd3"):
        fixture = oracle_fixture.load(kind, Path(__file__).parents[1] / "oracle" / kind)
        (embeddings, extra), negative = fixture.positive_B[0], fixture.negative
        # Of channels: the same tokens in another order are the same text to an attention.
        other = [[embeddings.flip(-1), {"pooled_output": extra["pooled_output"].flip(1)}]]
        return Small(fixture.model, fixture.noise, [fixture.positive_A, fixture.positive_B, negative, other])
    tiny = replace(next(tiny for tiny in MODELS if tiny.kind == kind), latent=LATENTS[kind])
    return Small(tiny.build(), tiny.noise(), [only_text(tiny.conditioning(seed)) for seed in range(4)])


def only_text(conditioning):
    """Without what is no text encoder's."""
    return [[text, {k: v for k, v in extra.items() if k != "unclip_conditioning"}] for text, extra in conditioning]


def again(conditioning):
    """The same text, encoded again."""
    return [[text.clone(), {k: v.clone() if torch.is_tensor(v) else v for k, v in extra.items()}] for text, extra in conditioning]


def assert_same(found, wanted, plain):
    size = (wanted - plain).abs().max()
    assert size > 1e-3 * plain.abs().max(), "patching does something"
    assert (found - wanted).abs().max() <= SAME * size
