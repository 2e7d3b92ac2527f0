"""The demo models as ComfyUI's MODEL, CLIP and VAE."""

import inspect
from pathlib import Path

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import torch

from ..patching.comfy import refuse_small
from . import architecture, signs
from .text_model import TextModel, tokenize

WEIGHTS = Path(__file__).parent / "weights"
MODELS = ("unet", "mmdit")


class FoldedPixels(comfy.latent_formats.LatentFormat):
    """Latents are the picture itself, folded 2x2 into channels."""

    latent_channels = architecture.LATENT_CHANNELS
    spacial_downscale_ratio = architecture.FOLD
    latent_rgb_factors = [[0.125 * (channel // 4 == colour) for colour in range(3)] for channel in range(12)]


class _UNetConfig(comfy.supported_models_base.BASE):
    unet_extra_config = {}
    sampling_settings = {"shift": architecture.SHIFT}
    latent_format = FoldedPixels


class _MMDiTConfig(comfy.supported_models.SD3):
    sampling_settings = {"shift": architecture.SHIFT}
    latent_format = FoldedPixels


class _TextEncoder(TextModel):
    """TextModel behind the interface that comfy.sd.CLIP expects."""

    dtypes = {torch.float32}

    def __init__(self, device=None, dtype=None, model_options={}):
        super().__init__()

    def encode_token_weights(self, tokens):
        ids = torch.tensor([[token for token, _weight in row] for row in tokens["demo"]])
        return self(ids.to(self.position.device))

    def set_clip_options(self, options):
        pass

    def reset_clip_options(self):
        pass

    def load_sd(self, sd):
        return self.load_state_dict(sd)


class _Tokenizer:
    def __init__(self, embedding_directory=None, tokenizer_data={}):
        pass

    def tokenize_with_weights(self, text, return_word_ids=False, **kwargs):
        return {"demo": [[(token, 1.0) for token in tokenize(text)]]}

    def state_dict(self):
        return {}


class _FoldVAE(torch.nn.Module):
    def encode(self, pixels):
        return torch.nn.functional.pixel_unshuffle(pixels, architecture.FOLD)

    def decode(self, latents):
        return torch.nn.functional.pixel_shuffle(latents, architecture.FOLD)


def load(name):
    """(MODEL, CLIP, VAE) of "unet" or "mmdit". Raises FileNotFoundError when the weights are not there."""
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"The demo model's weights are missing: {path}. Install the pack again.")
    return from_state_dict(name, comfy.utils.load_torch_file(str(path), safe_load=True))


def from_state_dict(name, weights, config=None):
    """(MODEL, CLIP, VAE) from weights as demo/train.py writes them. config: of the diffusion model, if it is not the demo's own."""
    weights = {k: v.float() for k, v in weights.items()}
    parts = {part: {k[len(part) :]: v for k, v in weights.items() if k.startswith(part)} for part in ("diffusion_model.", "text_model.")}
    return _model(name, parts["diffusion_model."], config), _clip(parts["text_model."]), _vae()


def _model(name, weights, config):
    device = comfy.model_management.get_torch_device()
    offload = comfy.model_management.unet_offload_device()
    config = _UNetConfig(config or architecture.UNET) if name == "unet" else _MMDiTConfig(config or architecture.MMDIT)
    config.set_inference_dtype(torch.float32, None)
    if name == "unet":
        model = comfy.model_base.BaseModel(config, model_type=comfy.model_base.ModelType.FLOW, device=offload)
    else:
        model = config.get_model({}, device=offload)
    model.diffusion_model.load_state_dict(weights)
    patcher = comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)
    refuse_small(
        patcher,
        signs.HEIGHT // architecture.FOLD,
        signs.WIDTH // architecture.FOLD,
        f"The demo models draw {signs.WIDTH} x {signs.HEIGHT} pixels: set Empty Latent Image to that, in ComfyUI 0.3 to "
        f"{signs.WIDTH * 8 // architecture.FOLD} x {signs.HEIGHT * 8 // architecture.FOLD}.",
    )
    return patcher


def _clip(weights):
    target = comfy.supported_models_base.ClipTarget(_Tokenizer, _TextEncoder)
    settings = {"parameters": sum(w.numel() for w in weights.values()), "model_options": {"dtype": torch.float32}}
    if "state_dict" in inspect.signature(comfy.sd.CLIP).parameters:
        return comfy.sd.CLIP(target, state_dict=[weights], **settings)
    clip = comfy.sd.CLIP(target, **settings)  # ComfyUI 0.3 loads weights afterwards
    clip.load_sd(weights)
    return clip


def _vae():
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=torch.float32)
    vae.first_stage_model = _FoldVAE()
    vae.downscale_ratio = vae.upscale_ratio = architecture.FOLD
    vae.latent_channels = architecture.LATENT_CHANNELS
    vae.patcher = comfy.model_patcher.ModelPatcher(vae.first_stage_model, load_device=vae.device, offload_device=vae.device)
    return vae
