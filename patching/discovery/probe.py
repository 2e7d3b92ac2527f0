"""A model's attention calls, looked into while the model is called.

Probe    calls a MODEL on a small picture and says what its attention calls were given
Seen     one attention call
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import comfy.model_management
import comfy.sample
import comfy.samplers
import torch

from .. import hook
from ..attention import Attention
from ..comfy import add_row_wrapper, is_out_of_memory, uncompiled

_SIZES = (64, 128, 256, 512, 1024)  # pixels of a picture's height: the first that the model takes
_LEAST = 4  # latents
_PRINTS = 8  # numbers that stand for a token


@dataclass(frozen=True)
class Seen:
    """modules: paths of the modules at work, outermost first; first: whether it is the first attention of the innermost one; passes:
    whether the model itself hands its options to the attention function; queries, keys, heads: how many; k, v: [rows, keys, 8], prints of
    the tokens; q: as much of all queries together; sides: which halves of CFG the model is called for; call: the Attention, if kept."""

    modules: tuple[str, ...]
    first: bool
    passes: bool
    queries: int
    keys: int
    heads: int
    k: torch.Tensor
    v: torch.Tensor
    q: torch.Tensor
    sides: tuple[int, ...]
    call: Attention | None

    @property
    def name(self):
        return self.modules[-1]


@dataclass
class Recording:
    """seen: all attention calls; counts: {(module path, argument): [(how many attention calls came before, length of its second axis)]};
    picture: what was drawn."""

    seen: list = field(default_factory=list)
    counts: dict = field(default_factory=dict)
    picture: torch.Tensor | None = None


class Probe:
    """model: MODEL. Each call of it moves `tell`, a function of nothing, and can be interrupted."""

    def __init__(self, model, tell=lambda: None):
        self.model, self._tell = model, tell
        sampling = model.get_model_object("model_sampling")
        self.sigmas = comfy.samplers.calculate_sigmas(sampling, "simple", 2)
        self._prints, self._size, self._looked_into = {}, _SIZES[0], None

    def narrow(self, recording):
        """From now on only modules are looked into that have attention calls: it takes less time."""
        self._looked_into = {path for seen in recording.seen for path in seen.modules}

    def fit(self, positive):
        """Takes the smallest picture with which the model can be called. Raises what the model does where it cannot be at all."""
        for self._size in _SIZES:
            try:
                return self.draw(positive, self.noise())
            except Exception as error:
                if self._size == _SIZES[-1] or _is_final(error):
                    raise

    def noise(self, seed=0, rows=1, heights=1):
        """heights: the picture is so many times as high."""
        latents = self.model.get_model_object("latent_format")
        height = max(_LEAST, int(self._size // getattr(latents, "spacial_downscale_ratio", 8)) // 2 * 2)
        frames = (1,) if latents.latent_dimensions == 3 else ()
        shape = rows, latents.latent_channels, *frames, height * heights, height * 3 // 2
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def draw(self, positive, noise, negative=None, model=None, sigmas=None, cfg=1.0, watch=None, keep=()):
        """Recording of a sampling run; one call of the model where no other sigmas are given. watch(Seen, Attention) -> an output of the
        attention, or None for its own; keep: names of modules whose Attention is kept."""
        recording = Recording()
        watched = (model or self.model).clone()
        options = watched.model_options["transformer_options"]
        inner = options.get("optimized_attention_override")
        stack, sides = [], []  # [path, whether an attention was called in it]

        def override(function, q, k, v, heads, *rest, **more):
            options = more.get("transformer_options") or {}
            more.update(zip(hook.POSITIONAL, rest, strict=False))
            attend = function if inner is None else partial(inner, function)
            attention = Attention(attend, q, k, v, heads, more.pop("mask", None), more)
            seen = self._seen(attention, stack, tuple(sides), recording, "text_layers_passed" not in options, keep)
            out = None if watch is None else watch(seen, attention)
            return attention() if out is None else out

        def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
            comfy.model_management.throw_exception_if_processing_interrupted()
            self._tell()
            modules = list(executor.class_obj.diffusion_model.named_modules())
            sides[:] = transformer_options["cond_or_uncond"]
            given = {**transformer_options, "text_layers_passed": True}
            with ExitStack() as lent:
                lent.enter_context(uncompiled(transformer_options, modules))
                for path, module in modules:
                    path = path.replace("_orig_mod.", "")
                    if self._looked_into is None or path in self._looked_into:
                        lent.enter_context(hook.lent(module, partial(_around, stack, recording, path, module, given)))
                return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

        options["optimized_attention_override"] = override
        add_row_wrapper(watched, around_call)
        sigmas = self.sigmas[:2] if sigmas is None else sigmas
        recording.picture = comfy.sample.sample_custom(
            watched, noise, cfg, comfy.samplers.sampler_object("euler"), sigmas, positive, positive if negative is None else negative,
            torch.zeros_like(noise), disable_pbar=True, seed=0,
        )  # fmt: skip
        return recording

    def _seen(self, attention, stack, sides, recording, passes, keep):
        modules = tuple(path for path, _ in stack)
        first = bool(stack) and not stack[-1][1]
        for entry in stack:
            entry[1] = True
        axis = attention.axis
        seen = Seen(
            modules, first, passes, attention.q.shape[axis], attention.k.shape[axis], attention.heads, self._printed(attention.k, axis),
            self._printed(attention.v, axis), self._printed(attention.q, axis).mean(1), sides,
            attention if keep and modules and modules[-1] in keep else None,
        )  # fmt: skip
        recording.seen.append(seen)
        return seen

    def _printed(self, x, axis):
        """Of each token a few sums with fixed weights: equal tokens have equal ones, and others have not."""
        x = (x.transpose(1, 2) if axis == 2 else x).flatten(2).float()  # B, tokens, channels
        size = x.shape[-1]
        if (size, x.device) not in self._prints:
            weights = torch.randn(size, _PRINTS, generator=torch.Generator().manual_seed(1)) / size**0.5
            self._prints[size, x.device] = weights.to(x.device)
        return (x @ self._prints[size, x.device]).cpu()


def _is_final(error):
    """An interruption (with ComfyUI 0.3 an Exception like others), or that there is no memory: a larger picture changes nothing."""
    return isinstance(error, comfy.model_management.InterruptProcessingException) or is_out_of_memory(error)


def _around(stack, recording, path, module, options, forward, *args, **kwargs):
    names = hook.signature(type(module))
    given = [(names[n] if n < len(names) else str(n), value) for n, value in enumerate(args)]
    for name, value in (*given, *kwargs.items()):
        if torch.is_tensor(value) and value.ndim > 1:
            recording.counts.setdefault((path, name), []).append((len(recording.seen), value.shape[1]))
    stack.append([path, False])
    try:
        return hook.passing(forward, options, always=False)(*args, **kwargs)
    finally:
        stack.pop()
