"""What is trained here as ComfyUI's MODEL, CLIP and VAE, whatever the latents and the text model are.

parts    weights as the trainings write them -> those of the diffusion model and of the text model
model    MODEL
clip     CLIP
vae      VAE
"""

import inspect

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.supported_models_base
import torch

from ..patching.comfy import refuse_small
from . import architecture


class _UNetConfig(comfy.supported_models_base.BASE):
    unet_extra_config = {}
    sampling_settings = {"shift": architecture.SHIFT}


class _MMDiTConfig(comfy.supported_models.SD3):
    sampling_settings = {"shift": architecture.SHIFT}


def parts(weights):
    """({name: tensor} of the diffusion model, of the text model), in float32."""
    prefixes = ("diffusion_model.", "text_model.")
    return tuple({k[len(prefix) :]: v.float() for k, v in weights.items() if k.startswith(prefix)} for prefix in prefixes)


def model(name, settings, weights, latents, size, advice):
    """name: "unet" or "mmdit"; settings: of ComfyUI's class; latents: a LatentFormat; size: (height, width) of the latents that it draws;
    advice: what is said to who gives smaller ones."""
    device, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    config = (_UNetConfig if name == "unet" else _MMDiTConfig)(settings)
    config.latent_format = latents
    config.set_inference_dtype(torch.float32, None)
    if name == "unet":
        built = comfy.model_base.BaseModel(config, model_type=comfy.model_base.ModelType.FLOW, device=offload)
    else:
        built = config.get_model({}, device=offload)
    built.diffusion_model.load_state_dict(weights)
    patcher = comfy.model_patcher.ModelPatcher(built, load_device=device, offload_device=offload)
    refuse_small(patcher, *size, advice)
    return patcher


def clip(text_model, tokenize, weights):
    """text_model: a module's class, ids [B, tokens] -> (embeddings, pooled), with a parameter `position`; tokenize: prompt -> ids."""
    target = comfy.supported_models_base.ClipTarget(*_text_side(text_model, tokenize))
    settings = {"parameters": sum(w.numel() for w in weights.values()), "model_options": {"dtype": torch.float32}}
    if "state_dict" in inspect.signature(comfy.sd.CLIP).parameters:
        return comfy.sd.CLIP(target, state_dict=[weights], **settings)
    built = comfy.sd.CLIP(target, **settings)  # ComfyUI 0.3 loads weights afterwards
    built.load_sd(weights)
    return built


def _text_side(text_model, tokenize):
    """(tokenizer, text encoder) classes behind the interfaces that comfy.sd.CLIP expects."""

    class Encoder(text_model):
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

        def tokenize_with_weights(self, text, return_word_ids=False, **kwargs):
            return {"demo": [[(token, 1.0) for token in tokenize(text)]]}

        def state_dict(self):
            return {}

    return Tokenizer, Encoder


def vae(first_stage_model, factor, channels):
    """factor: pixels a latent cell is wide."""
    built = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=torch.float32)
    built.first_stage_model = first_stage_model
    built.downscale_ratio = built.upscale_ratio = factor
    built.latent_channels = channels
    built.patcher = comfy.model_patcher.ModelPatcher(first_stage_model, load_device=built.device, offload_device=built.device)
    return built
