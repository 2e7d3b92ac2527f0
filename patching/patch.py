"""The swap: text keys and values of the target in the chosen layers of the source's run.

patch_prompt   MODEL -> MODEL that swaps while it samples; the only function that nodes call
METHODS        how joint attention gets the target's keys and values

Nothing is kept on the model: what a sampling run knows lives in a Run, which ends with it.
"""

import logging
import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import comfy.model_management
import comfy.patcher_extension
import torch

from . import models
from .call import Call
from .comfy import add_wrappers, foreign_state, random_state, to_conds
from .conditioning import check_target, same_text, with_text
from .messages import helped
from .run import CapturingRun, SwappingRun
from .target import OwnRun
from .text_layers import TextLayers
from .watch import check_kept

OWN_RUN = "target's own run"
SAME_LATENTS = "target on the source's latents"
METHODS = (OWN_RUN, SAME_LATENTS)
_KEY, _PATCHES, _RUN = "text_layers", "text_layers_patches", "text_layers_run"
_SERVED = ContextVar("patches of the sampling run that goes on", default=())


@dataclass(frozen=True)
class Share:
    """A start at a share of the steps, 0 or more and less than 1, whatever their number: 0.08 is step 4 of 50 and 0 of 4. The last step is
    always patched."""

    value: float

    def of(self, steps):
        half = round(self.value * steps, 6) + 0.5  # 0.29 * 50 is a little less than 14.5
        return max(0, min(math.floor(half), steps - 1))


@dataclass(frozen=True, eq=False)
class Patch:
    """target: "positive" and "negative" (None: the source's) -> CONDITIONING as a run has it."""

    family: Any
    text_layers: TextLayers
    heads: dict  # layer -> how many it has
    target: dict
    start: int | Share
    own_run: bool
    noise: torch.Tensor | None
    keep: torch.Tensor | None  # the source's latents
    notice: Callable  # gets a text for the user when a run finds that it has nothing to change

    def __deepcopy__(self, memo):
        """ComfyUI 0.3 copies everything in a model's options when it clones the model; nothing of this one ever changes."""
        return self

    @cached_property
    def weights(self):
        """w of each layer: 1, or by head where only some are chosen."""
        weights = {}
        for name in self.text_layers.names:
            heads = self.text_layers.heads.get(name)
            weights[name] = 1 if heads is None else torch.zeros(self.heads[name]).index_fill(0, torch.tensor(heads), 1.0)
        return weights

    def begin(self, steps):
        """The first patched step of a run of so many."""
        return self.start.of(steps) if isinstance(self.start, Share) else self.start

    def check_start(self, steps):
        """Raises ValueError for a start behind the end of a run."""
        if (start := self.begin(steps)) > steps:
            raise ValueError(
                f"Patching should start at step {start}, but this sampler runs {steps} steps. "
                f"Choose 0 to {steps - 1}, or {steps} for the unchanged picture."
            )

    def texted(self, conds):
        """{kind: the source's entries with the target's text} for the sides that have a target; errors as with_text."""
        sides = {kind: target for kind, target in self.target.items() if target is not None and kind in conds}
        return {kind: with_text(self.family, kind, conds[kind], target) for kind, target in sides.items()}


def patch_prompt(
    model, text_layers, positive, negative=None, start=0, method=OWN_RUN, target_noise=None, notice=logging.warning, keep=None
):
    """A clone of MODEL that, when sampled, draws its prompt's picture with the target's text in the chosen layers.

    positive, negative: the target's CONDITIONING, of which the text counts: all that it carries beside it is the source's; without a
    negative the source's is used. start: the first patched step, counted from 0 over the steps that the sampler runs (place.Steps), as
    many as it runs means none; or a Share of them. method: for families whose text stream evolves with the picture (METHODS). OWN_RUN
    samples the target first, from the same noise: twice the time, the paper's way. SAME_LATENTS evaluates the target on the source's
    latents down to the deepest chosen layer. Families whose keys and values depend on the text alone need neither, unless another node
    would remember the call of the model that tells them: then it is the target's own run for them, too. target_noise: [B, C, H, W], where
    the target's own run starts instead. notice: gets a text when a run has nothing to change (the target's text is the source's).

    A conditioning of several entries (areas, masks, time ranges) swaps entry by entry; a target with one entry serves all.
    Chained calls add up; on a layer that both patch the last one counts.
    Raises ValueError for layers of another architecture, embeddings of another text encoder and a negative start; what depends on the
    source raises when sampling begins, and a run in which a patch changed nothing raises when it ends.
    """
    models.check(model, text_layers)
    family, diffusion_model = models.family_of(model), model.get_model_object("diffusion_model")
    if method not in METHODS:
        raise ValueError(f'There is no method "{method}"; choose one of: {", ".join(METHODS)}.')
    if isinstance(start, Share):
        if not 0 <= start.value < 1:
            raise ValueError(f"The share of the steps before patching is {start.value}; it is 0 or more and less than 1.")
    elif start < 0:
        raise ValueError(f"The start step is {start}; it counts from 0.")
    target = {"positive": positive, "negative": negative}
    for kind, conditioning in target.items():
        if conditioning is not None:
            check_target(family, diffusion_model, kind, conditioning)
            target[kind] = to_conds(conditioning)
    own_run = family.evolves and method == OWN_RUN
    patch = Patch(family, text_layers, family.head_counts(diffusion_model), target, start, own_run, target_noise, keep, notice)
    patched = model.clone()
    options = patched.model_options["transformer_options"]
    options[_PATCHES] = (*options.get(_PATCHES, ()), patch)
    add_wrappers(
        patched, OUTER_SAMPLE=_around_run, SAMPLER_SAMPLE=_around_sampler, PREDICT_NOISE=_around_evaluation, APPLY_MODEL=_around_call
    )
    before = comfy.patcher_extension.CallbacksMP.ON_PRE_RUN
    patched.remove_callbacks_with_key(before, _KEY)
    patched.add_callback_with_key(before, _KEY, _check_served)
    return patched


@helped()
def _around_run(executor, noise, latent_image, sampler, sigmas, denoise_mask=None, callback=None, disable_pbar=False, seed=None, **more):
    """One sampling run: first the targets' own runs, then the source's, in which their keys and values are put."""
    guider, steps = executor.class_obj, len(sigmas) - 1
    to_the_end = float(sigmas[-1]) == 0  # uni_pc writes into its schedule
    options = guider.model_options["transformer_options"]
    patches, source = options[_PATCHES], guider.conds
    for patch in patches:
        patch.check_start(steps)
    texted = {patch: patch.texted(source) for patch in patches}
    check_kept(patches, noise)
    for patch, entries in texted.items():
        if entries and all(same_text(source[kind], others) for kind, others in entries.items()):
            patch.notice("The target's text is the sampler's own: the picture stays as it is.")
    at_work = [patch for patch in patches if patch.begin(steps) < steps]
    patcher = guider.model_patcher
    state = foreign_state(options, list(patcher.model.diffusion_model.named_modules()), patcher.object_patches)
    own_runs = {patch: OwnRun() for patch in at_work if patch.own_run or (state and not patch.family.evolves and not patch.family.injects)}
    runs: list[CapturingRun | SwappingRun] = [CapturingRun(patch, own_run) for patch, own_run in own_runs.items()]
    runs.append(SwappingRun(at_work, own_runs, texted))

    def sample(number, run, conds, start_noise):
        def progress(step, x0, x, total):
            run.steps.tell()
            if callback is not None:
                callback(number * total + step, x0, x, total * len(runs))

        options[_RUN] = run
        run.given = more
        run.counts = {kind: len(entries) for kind, entries in conds.items()}
        guider.conds = {kind: [entry.copy() for entry in entries] for kind, entries in conds.items()}
        drawn = executor(start_noise, latent_image, sampler, sigmas, denoise_mask, progress, disable_pbar, seed, **more)
        run.check()
        return run.end(drawn) if to_the_end else drawn

    served = _SERVED.set(options[_PATCHES])
    try:
        for number, (patch, run) in enumerate(zip(own_runs, runs[:-1], strict=True)):
            with random_state(patcher.load_device):
                sample(number, run, source | texted[patch], (noise if patch.noise is None else patch.noise.to(noise)).clone())
        return sample(len(own_runs), runs[-1], source, noise)
    finally:
        _SERVED.reset(served)
        options.pop(_RUN, None)


def _around_sampler(executor, guider, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False):
    run = _run_in(extra_args["model_options"]["transformer_options"])
    run.begin(guider, sigmas, noise, latent_image=latent_image, denoise_mask=denoise_mask, seed=extra_args.get("seed"))
    return executor(guider, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar)


def _around_evaluation(executor, x, timestep, model_options={}, seed=None):
    run = _run_in(model_options.get("transformer_options", {}))
    run.evaluate(x, timestep)
    return run.predict(lambda x: executor(x, timestep, model_options, seed), x, timestep)


def _around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
    run = _run_in(transformer_options)
    if run.evaluation < 0 or "cond_or_uncond" not in transformer_options:
        raise RuntimeError(
            "The sampler or guider calls the model in its own way and not through ComfyUI's guider, so that it cannot be known at which "
            "step it is and with which prompts. Take another sampler or guider, or give it the model from before Patch Prompt Into Layers."
        )
    comfy.model_management.throw_exception_if_processing_interrupted()
    call = Call(executor, x, t, c_concat, c_crossattn, control, transformer_options, kwargs)
    with run.options(call) as options:
        return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)


@helped()
def _run_in(options):
    if _RUN not in options:
        raise RuntimeError(
            "This model has text layers patched, which works while ComfyUI samples; another node called the model directly. "
            "Give that node the model from before Patch Prompt Into Layers."
        )
    return options[_RUN]


@helped()
def _check_served(patcher):
    """ComfyUI prepares a model for a run: if this is not a run in which its patches are at work, they would be without effect."""
    patches = patcher.model_options["transformer_options"].get(_PATCHES, ())
    if not set(patches) <= set(_SERVED.get()):
        raise RuntimeError(
            "A model with patched text layers is not the one that leads this sampling (Dual Model CFG Guider takes a second model for the "
            "negative prompt): its patches would change nothing. Connect the patched model where the positive prompt is drawn, or to both."
        )
