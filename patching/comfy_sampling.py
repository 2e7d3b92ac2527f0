"""The places where patching touches ComfyUI's sampling, and versions of ComfyUI differ, in one file.

add_sampling_wrappers   registers our two wrappers on a model, once
add_weight_hooks        registers a conditioning's hooks (LoRAs that come with it) for the sampling run that goes on
beside_caches           options for a call of the model that a cache must not count
add_row_wrapper         registers the wrapper of one batch's rows
add_counting_wrapper    tells how many rows each call of the model has
batched                 encoded prompts -> CONDITIONING with a row for each
to_conds                CONDITIONING -> the dicts that a sampling run works with
model_conds             those dicts -> what the model is given for them, batched
uncompiled              runs a compiled model as it is written
refuse_small            makes a model say when its latents are too small
empty_latent            one picture of a LATENT, in the model's channels and size
is_out_of_memory        whether an exception says so
hunyuan_text_is_first   where HunyuanVideo's text tokens stand
"""

import inspect
from contextlib import nullcontext

import comfy.conds
import comfy.hooks
import comfy.ldm.flux.layers
import comfy.model_management
import comfy.patcher_extension
import comfy.sample
import comfy.sampler_helpers
import comfy.samplers
import torch

_KEY = "text_layers"


def add_sampling_wrappers(model, around_run, around_call):
    """around_run wraps one sampling run, around_call one call of the model (see comfy.patcher_extension)."""
    wrappers = comfy.patcher_extension.WrappersMP
    model.remove_wrappers_with_key(wrappers.OUTER_SAMPLE, _KEY)
    model.remove_wrappers_with_key(wrappers.APPLY_MODEL, _KEY)
    model.add_wrapper_with_key(wrappers.OUTER_SAMPLE, _KEY, around_run)
    model.add_wrapper_with_key(wrappers.APPLY_MODEL, _KEY, around_call)
    # Around all others, whichever node comes first: what they keep for one sampling run (EasyCache) is for one of ours, too.
    around = model.wrappers[wrappers.OUTER_SAMPLE]
    model.wrappers[wrappers.OUTER_SAMPLE] = {_KEY: around.pop(_KEY), **around}


def add_weight_hooks(guider, source_conds, conds):
    """ComfyUI registers the hooks of the source's conditioning when a run begins, and would go on without those of another."""
    hooks, registered = comfy.hooks.HookGroup(), guider.model_options.get("registered_hooks") or comfy.hooks.HookGroup()
    for entries in (*source_conds.values(), *conds.values()):
        comfy.sampler_helpers.get_hooks_from_cond(entries, hooks)
    if any(hook not in registered.hooks for hook in hooks.get_type(comfy.hooks.EnumHookType.Weight)):
        if getattr(guider.model_patcher, "is_dynamic", bool)():  # decided by the source's conditioning alone, before we are asked
            raise ValueError(
                "The target's conditioning has a LoRA by a hook and the source's has none. Give the source one too (of strength 0 if need "
                "be), or take a LoRA loader."
            )
        target = comfy.hooks.create_target_dict(comfy.hooks.EnumWeightTarget.Model)
        guider.model_patcher.register_all_hook_patches(hooks, target, guider.model_options, registered)
        guider.model_options["registered_hooks"] = registered
    comfy.samplers.filter_registered_hooks_on_conds(conds, guider.model_options)


def beside_caches(options):
    """EasyCache would take such a call for a step of the run, and then skip another."""
    kind = comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL
    wrappers = options.get("wrappers", {})
    others = {key: own for key, own in wrappers.get(kind, {}).items() if key != "easycache"}
    return {**options, "wrappers": {**wrappers, kind: others}}


def add_row_wrapper(model, around_call):
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, _KEY + " rows", around_call)


def add_counting_wrapper(model, count):
    def around_call(executor, x, *args, **kwargs):
        count(len(x))
        return executor(x, *args, **kwargs)

    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.APPLY_MODEL, _KEY + " count", around_call)


def batched(rows):
    """rows: (embeddings [1, tokens, channels], other conditioning) of prompts with the same shapes. Tensors are joined; the rest is the
    first one's."""
    extra = {key: torch.cat([other[key] for _, other in rows]) if torch.is_tensor(value) else value for key, value in rows[0][1].items()}
    return [[torch.cat([embeddings for embeddings, _ in rows]), extra]]


def to_conds(conditioning):
    return comfy.sampler_helpers.convert_cond(conditioning)


def encode(base_model, conds, kind, noise, device):
    """Conds with `model_conds` filled in by the model, as a sampling run would. kind: "positive" or "negative"."""
    return comfy.samplers.encode_model_conds(base_model.extra_conds, list(conds), noise, device, kind)


def model_conds(conds, rows, device):
    """{argument of apply_model: its value for `rows` of each encoded cond, one after another}. The conds' shapes are the same."""
    processed = [{k: c.process_cond(batch_size=rows, area=None, device=device) for k, c in cond["model_conds"].items()} for cond in conds]
    joined = {k: first.concat([other[k] for other in processed[1:]]) for k, first in processed[0].items()}
    return {k: v.to(device) if hasattr(v, "to") else v for k, v in joined.items()}


def uncompiled():
    """A context in which compiled models and blocks run as they are written.

    ComfyUI's TorchCompileModel lets no graph ask whether transformer_options have changed: one of the unpatched model would serve the
    patched one as well, and the other way round. Where it does ask, it would compile anew for every call. torch before 2.6 cannot.
    """
    return torch.compiler.set_stance("force_eager") if hasattr(torch.compiler, "set_stance") else nullcontext()


def refuse_small(model, height, width, advice):
    """Sampling raises ValueError for latents with fewer rows or columns: ComfyUI 0.3's Empty Latent Image divides by eight whatever the
    model, and of an eighth of the size such a model would draw noise without a word."""

    def around_run(executor, noise, *args, **kwargs):
        if noise.shape[-2] < height or noise.shape[-1] < width:
            raise ValueError(f"The picture is too small for this model: {noise.shape[-1]} x {noise.shape[-2]} latents. {advice}")
        return executor(noise, *args, **kwargs)

    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, _KEY + " size", around_run)


def empty_latent(model, latent):
    # ComfyUI 0.3's latents do not say how large a picture they stand for, and nothing asks.
    ratios = {name: latent[name] for name in ("downscale_ratio_spacial", "downscale_ratio_temporal") if name in latent}
    return comfy.sample.fix_empty_latent_channels(model, torch.zeros_like(latent["samples"][:1]), **ratios)


def is_out_of_memory(error):
    # ComfyUI 0.3 has no such function, and its OOM_EXCEPTION can be every Exception, interruptions among them.
    known = getattr(comfy.model_management, "is_oom", None)
    return known(error) if known else isinstance(error, torch.cuda.OutOfMemoryError)


def hunyuan_text_is_first():
    """Whether HunyuanVideo's blocks, which are Flux's, have the text's tokens before the picture's; ComfyUI 0.3 turned them round."""
    return "flipped_img_txt" not in inspect.signature(comfy.ldm.flux.layers.DoubleStreamBlock).parameters
