"""Models for training outside the graph, from files.

load    of the command's arguments
files   that say which model it is
"""

import comfy.sd
import comfy.utils


def load(a):
    """a: with demo, checkpoint, diffusion_model, clip, clip_type and vae, paths or None -> (MODEL, CLIP, VAE). Raises ValueError for what
    is missing."""
    if a.demo:
        from ..demo import comfy_model

        return comfy_model.load(a.demo)
    for path in (a.checkpoint, a.diffusion_model, a.vae, *(a.clip or ())):
        if path and not path.is_file():
            raise ValueError(f"There is no file {path}.")
    clip = vae = None
    if a.checkpoint:
        model, clip, vae = comfy.sd.load_checkpoint_guess_config(str(a.checkpoint), output_vae=not a.vae, output_clip=not a.clip)[:3]
    else:
        model = comfy.sd.load_diffusion_model(str(a.diffusion_model))
    if a.clip:
        clip = comfy.sd.load_clip([str(path) for path in a.clip], clip_type=_clip_type(a.clip_type))
    if a.vae:
        state, metadata = comfy.utils.load_torch_file(str(a.vae), safe_load=True, return_metadata=True)
        vae = comfy.sd.VAE(sd=state, metadata=metadata)
        vae.throw_exception_if_invalid()
    file = (a.checkpoint or a.diffusion_model).name
    for part, what, name in ((model, "diffusion model", "--diffusion-model"), (clip, "text encoder", "--clip"), (vae, "VAE", "--vae")):
        if part is None:
            raise ValueError(f"{file} has no {what}: give one with {name}.")
    return model, clip, vae


def files(a):
    if a.demo:
        from ..demo import comfy_model

        return [comfy_model.WEIGHTS / f"{a.demo}.safetensors"]
    return [path for path in (a.checkpoint, a.diffusion_model, *(a.clip or ()), a.vae) if path]


def _clip_type(name):
    kinds = comfy.sd.CLIPType.__members__
    if name.upper() not in kinds:
        raise ValueError(f"There is no text encoder of type {name}. There are: {', '.join(kinds).lower()}.")
    return kinds[name.upper()]
