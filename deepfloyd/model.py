"""The U-Net as ComfyUI's MODEL.

load_model    by its name in the models folder
from_weights  from a configuration and weights
threshold     keeps guidance from driving pixels out of their range
pixels        a VAE: latents are pixels
"""

import importlib.util

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models_base
import comfy.utils
import torch

from ..patching.comfy import refuse_small
from . import files


class Pixels(comfy.latent_formats.LatentFormat):
    """Latents are the picture itself, -1 to 1."""

    latent_channels = 3
    spacial_downscale_ratio = 1
    latent_rgb_factors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


class _Config(comfy.supported_models_base.BASE):
    unet_extra_config = {}
    sampling_settings = {"beta_schedule": "cosine"}  # diffusers calls the same betas squaredcos_cap_v2
    latent_format = Pixels
    # What IF-I-XL's activations take on the meta device, 260 MB a picture in half precision, and room for convolutions.
    memory_usage_factor = 4.0


class DeepFloydIF(comfy.model_base.BaseModel):
    def __init__(self, config, device=None):
        from .unet import DeepFloydUNet

        super().__init__(config, comfy.model_base.ModelType.EPS, device, DeepFloydUNet)

    def extra_conds(self, **kwargs):
        conds = super().extra_conds(**kwargs)
        if "c_crossattn" in conds:
            # Not repeated to the length of another prompt: beside the picture's own keys, text that is there twice counts twice.
            conds["c_crossattn"] = comfy.conds.CONDRegular(conds["c_crossattn"].cond)
        return conds


def load_model(name, disable_dynamic=False):
    """name: one of files.unets(). Raises as files.read_unet, and ImportError where diffusers is not installed."""
    if importlib.util.find_spec("diffusers") is None:
        raise ImportError(
            "DeepFloyd IF's U-Net is in the package diffusers, which is not installed. Install it into ComfyUI's Python "
            "(python -m pip install diffusers) and restart ComfyUI."
        )
    config, weights = files.read_unet(name)
    model = from_weights(config, weights, disable_dynamic=disable_dynamic)
    size = config.get("sample_size") or 64
    advice = f"It draws {size} x {size} pixels: set Empty Latent Image to that, in ComfyUI 0.3 to {size * 8} x {size * 8}."
    refuse_small(model, size // 2, size // 2, advice)  # wide and tall pictures have one side that is smaller
    model.cached_patcher_init = (load_model, (name,))
    return model


def from_weights(config, weights, dtype=None, disable_dynamic=False):
    """config: of diffusers' UNet2DConditionModel; weights: its state dict; dtype: what ComfyUI takes for the device if None."""
    load_device = comfy.model_management.get_torch_device()
    offload_device = comfy.model_management.unet_offload_device()
    settings = _Config(config)
    dtypes = settings.supported_inference_dtypes
    if dtype is None:
        parameters, weight_dtype = comfy.utils.calculate_parameters(weights), comfy.utils.weight_dtype(weights)
        dtype = comfy.model_management.unet_dtype(model_params=parameters, supported_dtypes=dtypes, weight_dtype=weight_dtype)
    settings.set_inference_dtype(dtype, comfy.model_management.unet_manual_cast(dtype, load_device, dtypes))
    model = DeepFloydIF(settings, device=offload_device)
    differing = set(model.diffusion_model.state_dict()) ^ set(weights)
    if differing:
        raise ValueError(
            f"The weights do not fit their config.json: {len(differing)} of them are in one and not in the other, "
            f"for example {min(differing)}."
        )
    plain = comfy.model_patcher.ModelPatcher
    # ComfyUI 0.3 knows no dynamic loading.
    kind = plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)
    patcher = kind(model, load_device=load_device, offload_device=offload_device)
    dynamic = hasattr(patcher, "is_dynamic") and patcher.is_dynamic()
    model.load_model_weights(weights, **({"assign": True} if dynamic else {}))
    return patcher


def threshold(args):
    """Dynamic thresholding, as IF's own samplers do it: each picture's pixels are scaled by the 95th percentile of their size where
    that is above 1, by 1.5 at most. A sampler's post-CFG function. [Saharia et al., Imagen, section 2.3]"""
    picture = args["denoised"]
    largest = torch.quantile(picture.flatten(1).abs().float(), 0.95, dim=1).clamp(1, 1.5).to(picture).view(-1, 1, 1, 1)
    return picture.clamp(-largest, largest) / largest


def pixels():
    return comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=torch.float32)
