"""The second generation's models as ComfyUI's MODEL, CLIP and VAE.

load      (MODEL, CLIP, VAE) of files that train.py and train_codec.py write
"""

import inspect

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import torch

from ...patching.comfy import refuse_small
from . import boards, codec, models


class _Latents(comfy.latent_formats.LatentFormat):
    """The codec's, made unit by the mean and deviation [16] of each channel."""

    latent_channels = codec.CHANNELS

    def __init__(self, mean, deviation):
        self.mean, self.deviation = mean.view(1, -1, 1, 1), deviation.view(1, -1, 1, 1)

    def process_in(self, latent):
        return (latent - self.mean.to(latent)) / self.deviation.to(latent)

    def process_out(self, latent):
        return latent * self.deviation.to(latent) + self.mean.to(latent)


class _UNetConfig(comfy.supported_models_base.BASE):
    unet_extra_config = {}
    sampling_settings = {"shift": models.SHIFT}


class _MMDiTConfig(comfy.supported_models.SD3):
    sampling_settings = {"shift": models.SHIFT}


def _text_side(text):
    """(tokenizer, text encoder) classes of one of models.TEXT behind the interfaces that comfy.sd.CLIP expects."""

    class Encoder(text):
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

    class Tokenizer:
        def __init__(self, embedding_directory=None, tokenizer_data={}):
            pass

        def tokenize_with_weights(self, written, return_word_ids=False, **kwargs):
            return {"demo": [[(token, 1.0) for token in text.tokenize(written)]]}

        def state_dict(self):
            return {}

    return Tokenizer, Encoder


def load(name, model_file, codec_file):
    """(MODEL, CLIP, VAE) of "unet" or "mmdit"."""
    weights = {key: value.float() for key, value in comfy.utils.load_torch_file(str(model_file), safe_load=True).items()}
    parts = {part: {k[len(part) :]: v for k, v in weights.items() if k.startswith(part)} for part in ("diffusion_model.", "text_model.")}
    latents = _Latents(weights["latents.mean"], weights["latents.deviation"])
    return _model(name, parts["diffusion_model."], latents), _clip(models.TEXT[name], parts["text_model."]), _vae(codec_file)


def _model(name, weights, latents):
    device, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    config = _UNetConfig(models.UNET) if name == "unet" else _MMDiTConfig(models.MMDIT)
    config.latent_format = latents
    config.set_inference_dtype(torch.float32, None)
    if name == "unet":
        model = comfy.model_base.BaseModel(config, model_type=comfy.model_base.ModelType.FLOW, device=offload)
    else:
        model = config.get_model({}, device=offload)
    model.diffusion_model.load_state_dict(weights)
    patcher = comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)
    size = boards.HEIGHT // codec.FACTOR, boards.WIDTH // codec.FACTOR
    refuse_small(patcher, *size, f"The demo models draw {boards.WIDTH} x {boards.HEIGHT} pixels: set Empty Latent Image to that.")
    return patcher


def _clip(text, weights):
    target = comfy.supported_models_base.ClipTarget(*_text_side(text))
    settings = {"parameters": sum(w.numel() for w in weights.values()), "model_options": {"dtype": torch.float32}}
    if "state_dict" in inspect.signature(comfy.sd.CLIP).parameters:
        return comfy.sd.CLIP(target, state_dict=[weights], **settings)
    clip = comfy.sd.CLIP(target, **settings)  # ComfyUI 0.3 loads weights afterwards
    clip.load_sd(weights)
    return clip


def _vae(file):
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=torch.float32)
    vae.first_stage_model = codec.load(file)[0]
    vae.downscale_ratio = vae.upscale_ratio = codec.FACTOR
    vae.latent_channels = codec.CHANNELS
    vae.patcher = comfy.model_patcher.ModelPatcher(vae.first_stage_model, load_device=vae.device, offload_device=vae.device)
    return vae
