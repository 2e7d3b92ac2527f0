"""The ways to change the drawn word, each as a user of ComfyUI would build it from stock nodes and ours.

Bench      a model with its text layers: draws a batch of cases with any conditioning
METHODS    name -> Method: what the table calls it, whether it fits a model, and how it draws
"""

from collections.abc import Callable
from dataclasses import dataclass

import comfy.sample
import comfy.utils
import numpy as np
import torch

from ....editing.replace import Replacement, replaced
from ....patching import drawn, models
from ....patching.comfy import batched
from ....patching.patch import OWN_RUN, SAME_LATENTS, patch_prompt
from ....patching.text_layers import TextLayers
from ....scoring.image import pixels
from ....scoring.mask import mask_words
from ....scoring.ocr import engine
from ...reading.word_boxes import widened
from . import flow_edit
from .prompt_to_prompt import share_attention


class Bench:
    """A batch is a list of (number, Case); the number decides the noise."""

    def __init__(self, loaded, layers, seed):
        self.loaded, self.seed, self.setting = loaded, seed, loaded.setting
        self.model = loaded.model
        self.chosen = models.written(self.model, layers) if layers else models.preset(self.model)
        self.everything = TextLayers(self.chosen.family, self.chosen.architecture, tuple(models.layer_names(self.model)))
        self.evolves = models.family_of(self.model).evolves

    @torch.no_grad()
    def encode(self, prompts):
        """CONDITIONING with a row for each prompt. Raises ValueError where their token counts differ."""
        rows = [drawn.encode(self.loaded.clip, prompt)[0] for prompt in prompts]
        if len({embeddings.shape for embeddings, _ in rows}) > 1:
            raise ValueError("This text encoder's prompts have different lengths: use --rows 1.")
        return batched(rows)

    def prompts(self, batch, side):
        return self.encode([getattr(case, side) for _, case in batch])

    def sample(self, batch, positive, model=None, latent=None, **options):
        """Latents. options: of comfy.sample.sample."""
        s = self.setting
        empty = self.loaded.empty.repeat(len(batch), 1, 1, 1)
        if "disable_noise" in options:
            noise = torch.zeros_like(empty)
        else:
            noise = torch.cat([comfy.sample.prepare_noise(self.loaded.empty, self.seed + number) for number, _ in batch])
        return comfy.sample.sample(
            model or self.model, noise, s.steps, s.cfg, s.sampler, s.scheduler, positive, self.encode([""] * len(batch)),
            empty if latent is None else latent, disable_pbar=True, seed=self.seed, **options,
        )  # fmt: skip

    @torch.no_grad()
    def decode(self, latents):
        return pixels(self.loaded.vae.decode(latents))

    def draw(self, batch, positive, model=None, latent=None, **options):
        """[n, H, W, 3] uint8"""
        return self.decode(self.sample(batch, positive, model, latent, **options))

    def source(self, batch):
        """Pictures of the source's prompts; their latents are kept for the methods that need them."""
        self.latents = self.sample(batch, self.prompts(batch, "source"))
        return self.decode(self.latents)


def _patched(layers, method, keep=False, erase=False):
    def draw(bench, batch, source):
        target = bench.encode(_without_words(batch)) if erase else bench.prompts(batch, "target")
        kept = bench.latents if keep else None
        model = patch_prompt(bench.model, getattr(bench, layers), target, start=bench.setting.start, method=method, keep=kept)
        return bench.draw(batch, bench.prompts(batch, "source"), model)

    return draw


def _without_words(batch):
    return [replaced(case.source, [Replacement(None, "")])[0] for _, case in batch]


def _plain(bench, batch, source):
    return bench.draw(batch, bench.prompts(batch, "target"))


def _schedule(part):
    """The source's prompt for this part of the steps, then the target's, as with KSampler (Advanced) twice."""

    def draw(bench, batch, source):
        turn = round(bench.setting.steps * part)
        half = bench.sample(batch, bench.prompts(batch, "source"), last_step=turn)
        return bench.draw(batch, bench.prompts(batch, "target"), latent=half, start_step=turn, disable_noise=True)

    return draw


def _prompt_to_prompt(bench, batch, source):
    """Both prompts side by side in one batch; the target's rows take the source's attention maps (Hertz et al., 2023)."""
    both = [*batch, *batch]
    positive = bench.encode([*(case.source for _, case in batch), *(case.target for _, case in batch)])
    return bench.draw(both, positive, share_attention(bench.model, bench.setting.steps, bench.evolves))[len(batch) :]


def _flow_edit(bench, batch, source):
    positive = bench.encode([*(case.source for _, case in batch), *(case.target for _, case in batch)])
    return bench.decode(flow_edit.flow_edit(bench, positive, bench.latents, [bench.seed + number for number, _ in batch]))


def _inpaint(bench, batch, source):
    """The target's prompt within the box of the words that OCR finds, widened where the target is longer: Set Latent Noise Mask."""
    return _in_boxes(bench, batch, source, bench.prompts(batch, "target"))


def _inpaint_erase(bench, batch, source):
    """The same with the prompt without its words."""
    return _in_boxes(bench, batch, source, bench.encode(_without_words(batch)))


def _in_boxes(bench, batch, source, positive):
    masks = [
        widened(mask_words(picture, engine("EasyOCR"), max(1, len(picture) // 32)), case.source_word, case.target_word)
        for picture, (_, case) in zip(source, batch, strict=True)
    ]
    latent = bench.loaded.vae.encode(torch.from_numpy(source).float() / 255)
    return bench.draw(batch, positive, latent=latent, noise_mask=torch.from_numpy(np.stack(masks))[:, None].float())


@dataclass(frozen=True)
class Method:
    title: str
    draw: Callable  # (Bench, batch, source pictures) -> pictures
    fits: Callable = lambda bench: True
    erases: bool = False


METHODS = {
    "text_layers": Method("text layers (ours: the paper's way)", _patched("chosen", OWN_RUN)),
    "text_layers_keep": Method("text layers, keep", _patched("chosen", OWN_RUN, keep=True)),
    "same_latents": Method("text layers, target on the source's latents", _patched("chosen", SAME_LATENTS), lambda bench: bench.evolves),
    "all_layers": Method("all layers patched", _patched("everything", OWN_RUN)),
    "target": Method("target prompt, same seed", _plain),
    "prompt_to_prompt": Method("Prompt-to-Prompt", _prompt_to_prompt),
    "flow_edit": Method("FlowEdit", _flow_edit, flow_edit.fits),
    "schedule_25": Method("source prompt for 25 % of the steps", _schedule(0.25)),
    "schedule_50": Method("source prompt for 50 % of the steps", _schedule(0.5)),
    "inpaint": Method("inpainting of the text box", _inpaint),
    "erase": Method("text layers without the word, keep", _patched("chosen", OWN_RUN, keep=True, erase=True), erases=True),
    "inpaint_erase": Method("inpainting without the word", _inpaint_erase, erases=True),
}
