"""Models from files, outside the graph: what the commands share.

add_arguments   --checkpoint, --diffusion-model, --clip, --clip-type, --vae, --demo
ModelFiles      what they say
load            (MODEL, CLIP, VAE), as ComfyUI's loaders make them of the same files
"""

from dataclasses import dataclass
from pathlib import Path

from ..demo.edit import MODELS


@dataclass(frozen=True)
class ModelFiles:
    """Absolute paths, or None. demo: name of a demo model."""

    checkpoint: Path | None = None
    diffusion_model: Path | None = None
    clip: tuple[Path, ...] = ()
    clip_type: str = "stable_diffusion"
    vae: Path | None = None
    demo: str | None = None

    @classmethod
    def of(cls, a):
        """a: what the parser found."""
        checkpoint, diffusion_model, vae = (path and path.absolute() for path in (a.checkpoint, a.diffusion_model, a.vae))
        return cls(checkpoint, diffusion_model, tuple(path.absolute() for path in a.clip or ()), a.clip_type, vae, a.demo)

    @property
    def name(self):
        """For people."""
        return f"demo {self.demo}" if self.demo else (self.checkpoint or self.diffusion_model).name

    def all(self):
        """The files that say which model it is."""
        if self.demo:
            from ..demo import comfy_model

            return [comfy_model.WEIGHTS / f"{self.demo}.safetensors"]
        return [path for path in (self.checkpoint, self.diffusion_model, *self.clip, self.vae) if path]


def add_arguments(parser):
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--checkpoint", type=Path, metavar="FILE", help="a checkpoint with model, text encoders and VAE")
    model.add_argument("--diffusion-model", type=Path, metavar="FILE", help="a diffusion model alone, with --clip and --vae")
    model.add_argument("--demo", choices=MODELS, help="one of the demo models")
    parser.add_argument("--clip", type=Path, nargs="+", metavar="FILE", help="text encoders, in place of the checkpoint's own")
    parser.add_argument(
        "--clip-type", default="stable_diffusion", metavar="TYPE", help="of --clip, as in the node Load CLIP: sd3, flux, ..."
    )
    parser.add_argument("--vae", type=Path, metavar="FILE", help="in place of the checkpoint's own")


def load(given):
    """given: ModelFiles. Raises ValueError for what is missing."""
    import comfy.sd
    import comfy.utils
    import folder_paths

    if given.demo:
        from ..demo import comfy_model

        return comfy_model.load(given.demo)
    for path in given.all():
        if not path.is_file():
            raise ValueError(f"There is no file {path}.")
    embeddings = folder_paths.get_folder_paths("embeddings")
    clip = vae = None
    if given.checkpoint:
        wanted = {"output_vae": not given.vae, "output_clip": not given.clip}
        model, clip, vae = comfy.sd.load_checkpoint_guess_config(str(given.checkpoint), embedding_directory=embeddings, **wanted)[:3]
    else:
        model = comfy.sd.load_diffusion_model(str(given.diffusion_model))
    if given.clip:
        kind = _clip_type(comfy.sd.CLIPType.__members__, given.clip_type)
        clip = comfy.sd.load_clip([str(path) for path in given.clip], embedding_directory=embeddings, clip_type=kind)
    if given.vae:
        state, metadata = comfy.utils.load_torch_file(str(given.vae), safe_load=True, return_metadata=True)
        vae = comfy.sd.VAE(sd=state, metadata=metadata)
        vae.throw_exception_if_invalid()
    for part, what, name in ((model, "diffusion model", "--diffusion-model"), (clip, "text encoder", "--clip"), (vae, "VAE", "--vae")):
        if part is None:
            raise ValueError(f"{given.name} has no {what}: give one with {name}.")
    return model, clip, vae


def _clip_type(kinds, name):
    if name.upper() not in kinds:
        raise ValueError(f"There is no text encoder of type {name}. There are: {', '.join(kinds).lower()}.")
    return kinds[name.upper()]
