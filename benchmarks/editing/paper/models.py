"""The model that is measured, with the paper's settings for it.

load       a demo model, a checkpoint or DeepFloyd IF -> Loaded
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.sd
import torch

from ....demo import comfy_model, pictures, signs
from ....patching import models


@dataclass(frozen=True)
class Setting:
    """start: the first patched step."""

    steps: int
    cfg: float
    start: int
    width: int
    height: int
    sampler: str = "euler"
    scheduler: str = "normal"


@dataclass(frozen=True)
class Loaded:
    """empty: the latent of one picture without noise."""

    model: Any
    clip: Any
    vae: Any
    setting: Setting
    empty: torch.Tensor


DEMO = Setting(pictures.STEPS, pictures.CFG, 0, signs.WIDTH, signs.HEIGHT, pictures.SAMPLER, pictures.SCHEDULER)
# Section 4 and the published scripts: steps, guidance, first patched step.
PAPER = {
    "unet-70x2048": Setting(50, 5.0, 4, 1024, 1024),
    "mmdit-24x1536": Setting(28, 7.0, 2, 1024, 1024, scheduler="simple"),
    "if-22x704": Setting(50, 7.0, 2, 64, 64, "ddim", "ddim_uniform"),
}
OTHERS = Setting(28, 5.0, 0, 1024, 1024)


def load(name, changes):
    """changes: {field of Setting: another value or None}. Raises FileNotFoundError for a file that is not there and ValueError for a
    checkpoint without text encoder or VAE."""
    if name in comfy_model.MODELS:
        model, clip, vae = comfy_model.load(name)
        setting = DEMO
    else:
        model, clip, vae = _deepfloyd(name) if Path(name).is_dir() else _checkpoint(name)
        setting = PAPER.get(models.architecture(model), OTHERS)
    setting = replace(setting, **{field: value for field, value in changes.items() if value is not None})
    ratio = vae.spacial_compression_encode()
    channels = model.get_model_object("latent_format").latent_channels
    size = (1, channels, setting.height // ratio, setting.width // ratio)
    return Loaded(model, clip, vae, setting, torch.zeros(size))


def _checkpoint(path):
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}; the demo models are called {' and '.join(comfy_model.MODELS)}.")
    model, clip, vae = comfy.sd.load_checkpoint_guess_config(path, output_vae=True, output_clip=True)[:3]
    if clip is None or vae is None:
        raise ValueError(f"{path} holds no {'text encoder' if clip is None else 'VAE'}; take a checkpoint that has one.")
    return model, clip, vae


def _deepfloyd(folder):
    from ....deepfloyd import files
    from ....deepfloyd.model import load_model, pixels, threshold
    from ....deepfloyd.text import load_clip

    model = load_model(Path(folder).name)
    model.set_model_sampler_post_cfg_function(threshold)
    return model, load_clip(files.text_encoder(Path(folder).name)), pixels()
