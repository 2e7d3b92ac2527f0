"""The places where patching touches ComfyUI's sampling, and versions of ComfyUI differ, in one file.

add_wrappers            registers functions around parts of sampling, so that they stay with a model's options
add_row_wrapper         registers the wrapper of one batch's rows
add_counting_wrapper    tells how many rows each call of the model has
add_telling_wrapper     tells what the model predicts for the positive prompts, before guidance
to_conds                CONDITIONING -> the dicts that a sampling run works with
encode                  gives those dicts what the model makes of them
model_conds             those dicts -> what the model is given for them, batched
batched                 encoded prompts -> CONDITIONING with a row for each
beside_caches           options for a call of the model that a cache must not count
foreign_state           what may remember a call of the model that was not the sampler's
weights_state           changes when a model's weights do
original_weights        a MODEL's weights as they were loaded, and what is to be done to them
file_of                 the name of the file that a MODEL was loaded from
random_state            leaves the global generators of random numbers as they were
uncompiled              runs a compiled model as it is written
refuse_kept_text        where a sampler keeps the text's keys from call to call
refuse_small            makes a model say when its latents are too small
empty_latent            one picture of a LATENT, in the model's channels and size
is_out_of_memory        whether an exception says so
hunyuan_text_is_first   where HunyuanVideo's text tokens stand
"""

import inspect
import random
import re
import threading
from contextlib import ExitStack, contextmanager
from functools import partial

import comfy.conds
import comfy.ldm.flux.layers
import comfy.model_management
import comfy.patcher_extension
import comfy.sample
import comfy.sampler_helpers
import comfy.samplers
import numpy as np
import torch

from .drawn import DRAWN
from .messages import helped

_KEY = "text_layers"
_KINDS = comfy.patcher_extension.WrappersMP


def add_wrappers(model, **functions):
    """functions: the name of a kind in comfy.patcher_extension.WrappersMP -> what wraps it.

    They stand in the model's options and not on its patcher: nodes that make a patcher of their own of the same model and options keep
    them, and they come before, so around, all that stand on the patcher. What those keep for one sampling run (EasyCache) is for one
    of ours, too.
    """
    options = model.model_options["transformer_options"]
    wrappers = {kind: dict(own) for kind, own in options.get("wrappers", {}).items()}
    for kind, function in functions.items():
        others = {key: own for key, own in wrappers.get(getattr(_KINDS, kind), {}).items() if key != _KEY}
        wrappers[getattr(_KINDS, kind)] = {_KEY: [function], **others}
    options["wrappers"] = wrappers


def add_row_wrapper(model, around_call):
    model.add_wrapper_with_key(_KINDS.APPLY_MODEL, _KEY + " rows", around_call)


def add_counting_wrapper(model, count):
    def around_call(executor, x, *args, **kwargs):
        count(len(x))
        return executor(x, *args, **kwargs)

    model.add_wrapper_with_key(_KINDS.APPLY_MODEL, _KEY + " count", around_call)


def add_telling_wrapper(model, tell):
    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        predicted = executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)
        sides = transformer_options["cond_or_uncond"]
        if 0 in sides:
            tell(predicted.chunk(len(sides))[sides.index(0)])
        return predicted

    model.add_wrapper_with_key(_KINDS.APPLY_MODEL, _KEY + " predictions", around_call)


def batched(rows):
    """rows: (embeddings [1, tokens, channels], other conditioning) of prompts with the same shapes. Tensors and what is known of drawn
    texts are joined; the rest is the first one's."""
    extra = {key: _by_row(key, [other[key] for _, other in rows]) for key in rows[0][1]}
    return [[torch.cat([embeddings for embeddings, _ in rows]), extra]]


def _by_row(key, values):
    if torch.is_tensor(values[0]):
        return torch.cat(values)
    return [row for rows in values for row in rows] if key == DRAWN else values[0]


def to_conds(conditioning):
    return comfy.sampler_helpers.convert_cond(conditioning)


def encode(model, conds, kind, noise, device, **given):
    """Conds with `model_conds` filled in by the model (ComfyUI's BaseModel), as a sampling run does it. kind: "positive" or "negative";
    given: what else such a run knows (latent_image, denoise_mask, seed, latent_shapes)."""
    return comfy.samplers.encode_model_conds(model.extra_conds, list(conds), noise, device, kind, **given)


def model_conds(conds, rows, device):
    """{argument of apply_model: its value for `rows` of each encoded cond, one after another}. The conds' shapes are the same."""
    processed = [{k: c.process_cond(batch_size=rows, area=None, device=device) for k, c in cond["model_conds"].items()} for cond in conds]
    joined = {k: first.concat([other[k] for other in processed[1:]]) for k, first in processed[0].items()}
    return {k: v.to(device) if hasattr(v, "to") else v for k, v in joined.items()}


def beside_caches(options):
    """EasyCache would take such a call for a step of the run, and then skip another."""
    wrappers = options.get("wrappers", {})
    others = {key: own for key, own in wrappers.get(_KINDS.DIFFUSION_MODEL, {}).items() if key != "easycache"}
    return {**options, "wrappers": {**wrappers, _KINDS.DIFFUSION_MODEL: others}}


def foreign_state(options, modules, object_patches=()):
    """What another node has put into a call of the model that may remember it, in words; None where there is nothing. modules: of the
    diffusion model and itself, [(path, module)], itself first; object_patches: those of a model that is not loaded yet.

    A call beside the sampler's own would be remembered like one of its own: a cache of keys (Flux KV Cache), a ControlNet that goes on
    from block to block (Z-Image), a cache of steps (TeaCache). Functions that hold nothing but numbers, tensors and modules remember
    nothing.
    """
    _, diffusion_model = modules[0]
    for name, own in vars(diffusion_model).items():
        if is_function(own) and callable(getattr(type(diffusion_model), name, None)):
            return f"the {name} of the model"
    for path, module in modules:
        own = vars(module).get("forward")
        if getattr(own, "passes_on", False):  # ours, in a call of another thread
            own = own.own
        if is_function(own) and _remembers(own):
            return f"the forward of {path}"
    for name, own in dict(object_patches).items():
        if name.startswith("diffusion_model.") and is_function(own) and _remembers(own):
            return name
    # EasyCache can be left out of the call, and a compiled model computes what the model does.
    for kind, known in ((_KINDS.DIFFUSION_MODEL, {"easycache"}), (_KINDS.APPLY_MODEL, {"torch.compile"})):
        for key, functions in options.get("wrappers", {}).get(kind, {}).items():
            if functions and key not in known and not str(key).startswith(_KEY):
                return f"a wrapper of the model's call ({key})"
    for name, patches in options.get("patches", {}).items():
        if any(map(_remembers, patches)):
            return f"a patch of {name}"
    for name, patches in options.get("patches_replace", {}).items():
        if any(map(_remembers, patches.values())):
            return f"a replacement of {name}"
    return None


_PLAIN = (type(None), bool, int, float, str, bytes, torch.Tensor, torch.nn.Module, torch.Generator, torch.dtype, torch.device, type)


def is_function(value):
    """What stands in a method's place: also a partial, or an object that can be called."""
    return callable(value) and not isinstance(value, (torch.nn.Module, type))


def _remembers(function, depth=4):
    if isinstance(function, partial):
        held = [function.func, *function.args, *function.keywords.values()]
    elif inspect.isfunction(function):
        held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    elif inspect.ismethod(function):
        held = [function.__self__, function.__func__]
    else:
        return not (isinstance(function, (torch.nn.Module, type)) or inspect.isbuiltin(function))
    return any(_holds_state(value, depth) for value in held)


def _is_filled(cell):
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _holds_state(value, depth):
    if isinstance(value, _PLAIN):
        return False
    if isinstance(value, (tuple, frozenset)):
        return any(_holds_state(one, depth) for one in value)
    if depth and (inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, partial) or inspect.isbuiltin(value)):
        return not inspect.isbuiltin(value) and _remembers(value, depth - 1)
    return True


def weights_state(model):
    """Something that differs when the weights of a model (ComfyUI's BaseModel) do: hooks change them from step to step, and other nodes
    put new ones in their place."""
    hooks = getattr(getattr(model, "current_patcher", None), "current_hooks", None)
    strengths = () if hooks is None else tuple((id(hook.hook_ref), hook.strength) for hook in hooks.hooks)
    return strengths, hash(tuple(map(_weight_state, model.diffusion_model.parameters())))


def _weight_state(weight):
    # Tensors that were made in inference mode, as ComfyUI's nodes run, count no changes.
    return weight.data_ptr(), None if weight.is_inference() else weight._version


def original_weights(patcher):
    """{name: (weight, [patches])}: the weight as it was loaded, also while patches (of a LoRA) are computed into it, when it would have the
    rounding of the machine, and while other modules lie in the place of the model's own."""
    found = {name: (weight[0], patches) for name, (weight, *patches) in patcher.get_key_patches().items()}
    for place, own in patcher.object_patches_backup.items():
        if isinstance(own, torch.nn.Module):
            found = {name: weight for name, weight in found.items() if not name.startswith(f"{place}.")}
            found |= {f"{place}.{name}": (weight, []) for name, weight in own.state_dict().items()}
    return found


def file_of(model):
    """Without its folders, which are nobody's business; empty where ComfyUI does not tell (0.3, and loaders of other packs)."""
    loader = getattr(model, "cached_patcher_init", None)
    given = loader[1][0] if loader and loader[1] else None
    return re.split(r"[/\\]", given)[-1] if isinstance(given, str) else ""


@contextmanager
def random_state(device):
    """What runs inside finds the global generators as they are, and leaves them so: of torch (and the device), numpy and Python."""
    accelerator = getattr(torch, device.type, None)
    accelerator = accelerator if hasattr(accelerator, "get_rng_state") else None
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), accelerator and accelerator.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if accelerator:
            accelerator.set_rng_state(states[3])


class _Eager:
    """torch's stance towards compiled code is one for the whole process: it is changed by the first of the threads that want it, and set
    back by the last."""

    lock = threading.Lock()
    wanted = 0
    stance = ExitStack()


@contextmanager
def uncompiled(options, modules):
    """Compiled models and blocks run as they are written; where nothing is compiled, nothing is done. modules: [(path, module)] of the
    diffusion model.

    ComfyUI's TorchCompileModel lets no graph ask whether transformer_options have changed: one of the unpatched model would serve the
    patched one as well, and the other way round. Where it does ask, it would compile anew for every call. torch before 2.6 cannot.
    """
    compiled = "torch.compile" in options.get("wrappers", {}).get(_KINDS.APPLY_MODEL, {})
    compiled = compiled or any("_orig_mod" in module._modules for _, module in modules)
    if not compiled or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with _Eager.lock:
        _Eager.wanted += 1
        if _Eager.wanted == 1:
            _Eager.stance.enter_context(torch.compiler.set_stance("force_eager"))
    try:
        yield
    finally:
        with _Eager.lock:
            _Eager.wanted -= 1
            if not _Eager.wanted:
                _Eager.stance.close()


def refuse_kept_text(options):
    """ComfyUI's sampler for video that is drawn frame by frame (ar_video) has the model keep the text's keys and values of its first call,
    so that later ones do not come to the text layers. Raises RuntimeError."""
    if "ar_state" in options:
        raise RuntimeError(
            "The sampler draws the video frame by frame (ar_video) and keeps the text's keys from its first call, so that text layers "
            "cannot be patched in the others. Take another sampler."
        )


def refuse_small(model, height, width, advice):
    """Sampling raises ValueError for latents with fewer rows or columns: ComfyUI 0.3's Empty Latent Image divides by eight whatever the
    model, and of an eighth of the size such a model would draw noise without a word."""

    @helped()
    def around_run(executor, noise, *args, **kwargs):
        if noise.shape[-2] < height or noise.shape[-1] < width:
            raise ValueError(f"The picture is too small for this model: {noise.shape[-1]} x {noise.shape[-2]} latents. {advice}")
        return executor(noise, *args, **kwargs)

    model.add_wrapper_with_key(_KINDS.OUTER_SAMPLE, _KEY + " size", around_run)


def empty_latent(model, latent):
    if not torch.is_tensor(latent["samples"]):
        raise ValueError("This latent is several at once (a video with sound). Connect an empty latent of the video alone.")
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
