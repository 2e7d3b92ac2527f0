"""The swap by looking into ComfyUI's attention function, call by call, with nothing of patching/: what odd runs are judged by."""

from dataclasses import dataclass, replace
from functools import cache

import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import torch
from text_layers.benchmarks.families.checks import Bench, bench_of, layer_of
from text_layers.patching import models
from text_layers.patching.patch import OWN_RUN, SAME_LATENTS, patch_prompt
from text_layers.testing.attention_probe import recorded, replayed
from text_layers.testing.tiny_models import MODELS

# A U-Net, joint attention in both methods, and keys and values of the text alone.
CASES = (("KOALA_700M", OWN_RUN), ("SD3", OWN_RUN), ("SD3", SAME_LATENTS), ("HunyuanDiT", OWN_RUN))


@cache
def bench(kind):
    return bench_of(next(tiny for tiny in MODELS if tiny.kind == kind))


@dataclass(frozen=True)
class Run:
    """One way to sample. sampler: a sampler's function; one of ours takes `note` and tells it the step of each call before the call. Where
    step_of is given, the sampler is another's, and the noise level of a call says the step. latent: what the noise is added to."""

    bench: Bench
    sampler: object
    sigmas: torch.Tensor
    latent: torch.Tensor
    options: dict
    step_of: object = None
    cfg: float = 4.0

    def draw(self, model=None, positive=0, note=lambda step: None):
        model, options = model or self.bench.model, self.options
        if self.step_of is None:
            options = {**options, "note": note}
        else:
            model = _telling(model, lambda level: note(self.step_of(level)))
        with torch.random.fork_rng():
            torch.manual_seed(7)
            return comfy.sample.sample_custom(
                model, self.bench.tiny.noise(), self.cfg, comfy.samplers.KSAMPLER(self.sampler, options), self.sigmas,
                self.bench.prompt(positive), self.bench.prompt(2), self.latent, disable_pbar=True, seed=1,
            )  # fmt: skip

    def edit(self, layers, start, method):
        chosen = models.written(self.bench.model, ", ".join(layers))
        return self.draw(patch_prompt(self.bench.model, chosen, self.bench.prompt(1), start=start, method=method))

    def by_hand(self, layers, start, method):
        """The target's text keys and values in the layers in all calls of step `start` and later ones."""
        return self._of_own_run(layers, start) if method == OWN_RUN else self._of_same_latents(layers, start)

    def _of_own_run(self, layers, start):
        with recorded(self.bench.diffusion_model) as target:
            self.draw(positive=1)
        waiting, now = iter(target), []
        with replayed(self.bench.diffusion_model, lambda call: self._changed(call, next(waiting), layers, now[-1] >= start)):
            return self.draw(note=now.append)

    def _of_same_latents(self, layers, start):
        """Each call of the model twice: with the target's text, to see its keys and values, and with the source's."""
        now, seen = [], []
        (text, extra), target = self.bench.prompt(1)[0], False

        def around(apply, args):
            nonlocal target
            c = dict(args["c"])
            for key, value in {"c_crossattn": text, "y": extra.get("pooled_output")}.items():
                if key in c and value is not None:
                    rows = zip(c[key].split(1), args["cond_or_uncond"], strict=True)
                    c[key] = torch.cat([part if side else value for part, side in rows])
            target = True
            apply(args["input"], args["timestep"], **c)
            target = False
            return apply(args["input"], args["timestep"], **args["c"])

        def change(call):
            if target:
                seen.append(call)
                return call
            return self._changed(call, seen.pop(0), layers, now[-1] >= start)

        model = self.bench.model.clone()
        model.set_model_unet_function_wrapper(around)
        with replayed(self.bench.diffusion_model, change):
            return self.draw(model, note=now.append)

    def _changed(self, call, given, layers, active):
        text = self.bench.text(call)
        if not active or text is None or layer_of(self.bench, call) not in layers:
            return call
        k, v = call.k.clone(), call.v.clone()
        k[:, :, text], v[:, :, text] = given.k[:, :, text], given.v[:, :, text]
        return replace(call, k=k, v=v)


def _telling(model, tell):
    """tell(noise level) before each evaluation that a sampler makes."""
    told = model.clone()

    def around(executor, x, timestep, *args, **kwargs):
        tell(float(timestep.max()))
        return executor(x, timestep, *args, **kwargs)

    told.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, "tells", around)
    return told
