"""The swap: keys and values of the target's text in the chosen layers of the source's run.

patch_prompt   MODEL -> MODEL that swaps while it samples; the only function that nodes call
METHODS        how joint attention gets the target's keys and values

Nothing is kept on the model: what one sampling run needs lives in a _Run, which ends with it.
"""

from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import comfy.model_management
import torch

from . import families, text_attention
from .comfy_sampling import add_sampling_wrappers, add_weight_hooks, beside_caches, encode, model_conds, to_conds, uncompiled
from .target_run import CapturedRun
from .text_attention import CaptureDone
from .text_layers import TextLayers

OWN_RUN = "target's own run"
SAME_LATENTS = "target on the source's latents"
METHODS = (OWN_RUN, SAME_LATENTS)
_PATCHES, _RUN = "text_layers_patches", "text_layers_run"


@dataclass(frozen=True, eq=False)
class _Patch:
    family: Any
    text_layers: TextLayers
    target: dict  # "positive" and "negative" (None: the source's) -> CONDITIONING
    start: int
    method: str
    noise: torch.Tensor | None

    def __deepcopy__(self, memo):
        """ComfyUI 0.3 copies everything in a model's options when it clones the model; nothing of this one ever changes."""
        return self


def patch_prompt(model, text_layers, positive, negative=None, start=0, method=OWN_RUN, target_noise=None):
    """A clone of MODEL that, when sampled, draws its prompt's picture with the target's text in the chosen layers.

    positive, negative: the target's CONDITIONING; without a negative the source's is used. start: the first patched step,
    counted from 0 (the noisiest) over the steps that the sampler runs; as many as it runs means none.
    method: for families whose text stream evolves with the picture (METHODS). OWN_RUN samples the target first, from the same
    noise: twice the time, the paper's way. SAME_LATENTS evaluates the target on the source's latents down to the deepest
    chosen layer. Families whose keys and values depend on the text alone need neither. target_noise: [B, C, H, W], where the
    target's own run starts instead.

    A conditioning of several entries (areas, masks, time ranges) swaps entry by entry; a target with one entry serves all.
    Chained calls add up; on a layer that both patch the last one counts.
    Raises ValueError for layers of another architecture, embeddings of another text encoder and a negative start; a start past
    the end of the schedule and numbers of entries that do not match raise when sampling begins.
    """
    families.check(model, text_layers)
    family = families.family_of(model)
    if method not in METHODS:
        raise ValueError(f'There is no method "{method}"; choose one of: {", ".join(METHODS)}.')
    if start < 0:
        raise ValueError(f"The start step is {start}; it counts from 0.")
    for kind, conditioning in (("positive", positive), ("negative", negative)):
        if conditioning is not None:
            _check_conditioning(family, model, kind, conditioning)
    patch = _Patch(family, text_layers, {"positive": positive, "negative": negative}, start, method, target_noise)
    patched = model.clone()
    options = patched.model_options["transformer_options"]
    options[_PATCHES] = (*options.get(_PATCHES, ()), patch)
    add_sampling_wrappers(patched, _around_run, _around_call)
    return patched


def _check_conditioning(family, model, kind, conditioning):
    if not conditioning:
        raise ValueError(f"The target's {kind} conditioning is empty.")
    width = family.text_width(model.get_model_object("diffusion_model"))
    for embeddings, extra in conditioning:
        if embeddings.shape[-1] != width:
            raise ValueError(
                f"The target's {kind} conditioning comes from another text encoder: its embeddings have {embeddings.shape[-1]} "
                f"channels, this model takes {width}. Encode the target with the same CLIP as the source."
            )
        if family.pooled and extra.get("pooled_output") is None:
            raise ValueError(f"The target's {kind} conditioning lacks the pooled embedding that this model needs.")


def _around_run(executor, noise, latent_image, sampler, sigmas, denoise_mask=None, callback=None, disable_pbar=False, seed=None, **kw):
    """One sampling run: first the targets' own runs, then the source's, in which their keys and values are put."""
    guider = executor.class_obj
    options = guider.model_options["transformer_options"]
    steps = len(sigmas) - 1
    patches = options[_PATCHES]
    source_conds = guider.conds
    for patch in patches:
        _check_run(patch, source_conds, steps)
    patches = [p for p in patches if p.start < steps]
    own_runs = [p for p in patches if p.family.evolves and p.method == OWN_RUN]
    done = 0

    def progress(step, x0, x, total):
        if callback is not None:
            callback(done * total + step, x0, x, total * (len(own_runs) + 1))

    def sample(run, conds, start_noise):
        options[_RUN] = run
        guider.conds = {kind: [c.copy() for c in entries] for kind, entries in conds.items()}
        return executor(start_noise, latent_image, sampler, sigmas, denoise_mask, progress, disable_pbar, seed, **kw)

    captured = {}
    for patch in own_runs:
        conds = source_conds | {kind: to_conds(c) for kind, c in patch.target.items() if c is not None and kind in source_conds}
        add_weight_hooks(guider, source_conds, conds)
        captured[patch] = CapturedRun()
        start_noise = noise if patch.noise is None else patch.noise.to(noise)
        sample(_Capture(guider, patch, captured[patch], sigmas), conds, start_noise.clone())
        _check_seen(patch, captured[patch].has)
        done += 1
    base_model, device = guider.model_patcher.model, guider.model_patcher.load_device
    targets = {}
    for patch in patches:
        if patch not in captured:
            sources = {kind: source_conds[kind] if c is None else to_conds(c) for kind, c in patch.target.items() if kind in source_conds}
            # By the first call that needs them: some models encode with weights of their own (Anima), which are loaded by then.
            targets[patch] = {kind: cache(partial(encode, base_model, entries, kind, noise, device)) for kind, entries in sources.items()}
    swap = _Swap(guider, patches, captured, targets, sigmas)
    drawn = sample(swap, source_conds, noise)
    for patch, seen in swap.seen.items():
        _check_seen(patch, seen.__contains__)
    return drawn


def _check_run(patch, source_conds, steps):
    if patch.start > steps:
        raise ValueError(
            f"Patching should start at step {patch.start}, but this sampler runs {steps} steps. "
            f"Choose 0 to {steps - 1}, or {steps} for the unchanged picture."
        )
    for kind, conditioning in patch.target.items():
        if conditioning is not None and kind in source_conds and len(conditioning) not in (1, len(source_conds[kind])):
            raise ValueError(
                f"The target's {kind} conditioning has {len(conditioning)} entries, the source's has {len(source_conds[kind])}. "
                "Give the target one entry, or one for each of the source's."
            )


def _check_seen(patch, seen):
    """A node with a way of its own to call the layers, or a cache, can keep them from us: better no picture than an unchanged one."""
    missing = [name for name in patch.text_layers.names if not seen(name)]
    if missing:
        raise RuntimeError(
            f"The attention of text layer {missing[0]} was not called for the target from step {patch.start} on: "
            "another node leaves the layer out, has an attention of its own there, or skips these steps. Remove it, or let it begin later."
        )


def _around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
    run = transformer_options.get(_RUN)
    if run is None:
        raise RuntimeError(
            "This model has text layers patched, which works while ComfyUI samples; another node called the model directly. "
            "Give that node the model from before Patch Prompt Into Layers."
        )
    comfy.model_management.throw_exception_if_processing_interrupted()
    call = _Call(executor, x, t, c_concat, c_crossattn, control, transformer_options, kwargs)
    with ExitStack() as stack:
        return executor(x, t, c_concat, c_crossattn, control, run.options(call, stack), **kwargs)


class _Call:
    """One call of the model: a batch of chunks, each an entry of the source's conditioning with the same number of rows."""

    def __init__(self, executor, x, t, c_concat, c_crossattn, control, transformer_options, kwargs):
        self.executor, self.x, self.t, self.c_concat, self.control = executor, x, t, c_concat, control
        self.options = transformer_options
        self.diffusion_model = executor.class_obj.diffusion_model
        self.kwargs = {"c_crossattn": c_crossattn, **kwargs}
        self.sigma = float(transformer_options["sigmas"].max())
        self.rows = len(x) // len(transformer_options["cond_or_uncond"])

    def chunk(self, number):
        return slice(number * self.rows, (number + 1) * self.rows)

    def entries(self, conds):
        """For each chunk its (kind, number) in the run's conditioning, or None for kinds that are never patched.

        Where one side has areas, ComfyUI adds entries to the other: with the uuid of the first, and the text of one of the
        second's own entries, which is the one that counts.
        """
        places = {}
        for kind, entries in conds.items():
            texts = [cond["model_conds"].get("c_crossattn") for cond in entries]
            for cond, text in zip(entries, texts):
                own = next(number for number, other in enumerate(texts) if other is text)
                places.setdefault(cond["uuid"], {})[kind] = own
        found = []
        for uuid, side in zip(self.options["uuids"], self.options["cond_or_uncond"]):
            # Guiders with more than two sides count them as they like; with two, the positive one comes first.
            by_side = ("positive", "negative")[side] if side < 2 else "positive"
            at = places.get(uuid, {None: 0})  # another node may bring entries of its own (PerpNeg)
            kind = next(iter(at)) if len(at) == 1 else by_side
            found.append((kind, at[kind]) if kind in ("positive", "negative") else None)
        return found

    def evaluate(self, numbers, targets, options, described):
        """Calls the model on the latents of some chunks with other conditioning, one encoded cond for each.

        described: arguments that come from the source's conditioning. They must go where the target has nothing of the kind (a
        mask, tokens of a second encoder). The picture that an inpainting model sees stays.
        """
        where = torch.cat([torch.arange(self.chunk(n).start, self.chunk(n).stop) for n in numbers]).to(self.x.device)
        kwargs = {k: v for k, v in self.kwargs.items() if k not in described}
        kwargs = {k: v[where] if torch.is_tensor(v) and len(v) == len(self.x) else v for k, v in kwargs.items()}
        kwargs.update({k: v for k, v in model_conds(targets, self.rows, self.x.device).items() if k != "c_concat"})
        options = options.copy()
        for key in ("cond_or_uncond", "uuids"):
            options[key] = [options[key][n] for n in numbers]
        control = self.control and {k: [v if v is None else v[where] for v in values] for k, values in self.control.items()}
        concat = self.c_concat if self.c_concat is None else self.c_concat[where]
        context = kwargs.pop("c_crossattn", None)
        return self.executor(self.x[where], self.t[where], concat, context, control, beside_caches(options), **kwargs)


def _active(patch, sigma, sigmas):
    """Whether a call at this noise level belongs to the start step or a later one."""
    return patch.start < len(sigmas) - 1 and sigma <= float(sigmas[patch.start]) * (1 + 1e-5)


class _Capture:
    """The target's own run: its text keys and values are kept."""

    def __init__(self, guider, patch, captured, sigmas):
        self.guider, self.patch, self.captured, self.sigmas = guider, patch, captured, sigmas

    def options(self, call, stack):
        if not _active(self.patch, call.sigma, self.sigmas):
            return call.options
        records = [
            (call.chunk(number), self.captured.new_call(entry, call.sigma))
            for number, entry in enumerate(call.entries(self.guider.conds))
            if entry is not None
        ]

        def keep(name, parts):
            for rows, record in records:
                self.captured.keep(record, name, tuple(part[rows] for part in parts))

        patch = self.patch
        return stack.enter_context(text_attention.capture(patch.family, call.diffusion_model, call.options, patch.text_layers.names, keep))


class _Swap:
    """The source's run. captured: patch -> CapturedRun; targets: patch -> kind -> what encodes conds, for the other patches."""

    def __init__(self, guider, patches, captured, targets, sigmas):
        self.guider, self.patches, self.captured, self.targets, self.sigmas = guider, patches, captured, targets, sigmas
        self.evaluated = Counter()
        self.seen = {}  # patch -> layers whose keys and values were captured on the source's latents
        self.kept = {}  # patch -> chunk's entry -> {layer: parts}, where they are the same in all calls

    def options(self, call, stack):
        entries = call.entries(self.guider.conds)
        occurrences = []
        for entry in entries:
            occurrences.append(self.evaluated[entry, call.sigma])
            self.evaluated[entry, call.sigma] += 1
        options = call.options
        taken = set()  # on a layer of several active patches the last one counts
        for patch in reversed([p for p in self.patches if _active(p, call.sigma, self.sigmas)]):
            layers = {name: patch.text_layers.heads.get(name) for name in patch.text_layers.names if name not in taken}
            taken.update(layers)
            if not layers:
                continue
            if patch.family.injects:
                rows = self._embedding_rows(patch, call, entries)
                if rows:
                    stack.enter_context(uncompiled())
                    options = patch.family.inject(options, layers, rows)
                continue
            if patch in self.captured:
                rows = self._captured_rows(patch, call, entries, occurrences)
            elif patch.family.evolves:
                rows = self._rows_on_same_latents(patch, call, entries)
            else:
                rows = self._rows_of_text_alone(patch, call, entries)
            if rows:
                options = stack.enter_context(text_attention.put(patch.family, call.diffusion_model, options, layers, rows))
        return options

    def _captured_rows(self, patch, call, entries, occurrences):
        rows = []
        for number, (entry, occurrence) in enumerate(zip(entries, occurrences)):
            if entry is not None:
                kind, at = entry
                given = patch.target[kind]
                target = (kind, at if given is None or len(given) > 1 else 0)
                rows.append((call.chunk(number), self.captured[patch].get(target, call.sigma, occurrence, patch.text_layers.names)))
        return rows

    def _target_conds(self, patch, entries):
        """(chunk number, encoded cond of the target) for every chunk that has a target."""
        for number, entry in enumerate(entries):
            if entry is not None:
                kind, at = entry
                conds = self.targets[patch][kind]()
                yield number, conds[at if len(conds) > 1 else 0]

    def _embedding_rows(self, patch, call, entries):
        return [
            (call.chunk(number), model_conds([cond], call.rows, call.x.device)["c_crossattn"])
            for number, cond in self._target_conds(patch, entries)
            if patch.target[entries[number][0]] is not None
        ]

    def _rows_of_text_alone(self, patch, call, entries):
        """Keys and values that depend on the text alone are captured once; without a target, the source's own are as good."""
        entries = [entry if entry is not None and patch.target[entry[0]] is not None else None for entry in entries]
        if set(filter(None, entries)) - set(self.kept.get(patch, {})):
            rows = self._rows_on_same_latents(patch, call, entries)
            by_chunk = {where.start // call.rows: parts for where, parts in rows}
            self.kept.setdefault(patch, {}).update({entries[number]: parts for number, parts in by_chunk.items()})
        kept = self.kept.get(patch, {})
        return [(call.chunk(number), kept[entry]) for number, entry in enumerate(entries) if entry in kept]

    def _rows_on_same_latents(self, patch, call, entries):
        """Prompts of different length cannot share a call, so there is one call of the model a length."""
        by_shape = {}
        for number, cond in self._target_conds(patch, entries):
            shapes = tuple((key, _shape(value.cond)) for key, value in sorted(cond["model_conds"].items()))
            by_shape.setdefault(shapes, []).append((number, cond))
        described = {key for conds in self.guider.conds.values() for cond in conds for key in cond["model_conds"]}
        rows, seen = [], self.seen.setdefault(patch, set())
        for group in by_shape.values():
            numbers, conds = zip(*group)
            layers = {}

            def keep(name, parts, layers=layers):
                layers[name] = parts
                seen.add(name)

            names = patch.text_layers.names
            with (
                suppress(CaptureDone),
                text_attention.capture(patch.family, call.diffusion_model, call.options, names, keep, stop_after=True) as options,
            ):
                call.evaluate(numbers, conds, options, described)
            for i, number in enumerate(numbers):
                part = slice(i * call.rows, (i + 1) * call.rows)
                rows.append((call.chunk(number), {name: tuple(t[part] for t in parts) for name, parts in layers.items()}))
        return rows


def _shape(value):
    return tuple(map(_shape, value)) if isinstance(value, list) else getattr(value, "shape", None)
