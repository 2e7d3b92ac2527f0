"""What stands for a template's files: a tiny random model of the class, and a text encoder and a VAE that fit it.

model_of    the tiny model that a file's name stands for
Encoder     a CLIP: a random prompt for each text, of a length of its own
Codec       a VAE: latents of the model's channels and size for any picture, and grey pictures of latents
"""

import re
import zlib
from dataclasses import replace

import torch

from ....testing.tiny_models import MODELS

# Parts of file names, the more special first. None: a class that the pack does not serve.
FILES = {
    r"qwen_image|firered": "QwenImage",
    r"z_image": "ZImage",
    r"flux2|flux-2": "Flux2",
    r"flux.?1?-fill|onereward": "FluxInpaint",
    r"flux1-canny|flux1-depth": "Flux canny",
    r"schnell": "FluxSchnell",
    r"ovis": "Ovis",
    r"^flux1": "Flux",
    r"anima": "Anima",
    r"hidream_o1": "HiDreamO1",
    r"hidream": "HiDream",
    r"sd3": "SD3",
    r"xl_refiner": "SDXLRefiner",
    r"sd_xl": "SDXL",
    r"v1-5|dreamshaper": "SD15",
    r"krea2": "Krea2",
    r"mage_flow": "MageFlow",
    r"omnigen2": "Omnigen2",
    r"boogu": "Boogu",
    r"chroma-radiance": "ChromaRadiance",
    r"chroma": "Chroma",
    r"ernie": "ErnieImage",
    r"ideogram4": "Ideogram4",
    r"joyai": "JoyImage",
    r"kandinsky5lite_t2i": "Kandinsky5Image",
    r"^lens": "Lens",
    r"longcat": "LongCatImage",
    r"netayume": "Lumina2",
    r"newbie": "NewBie",
    r"pixeldit": "PixelDiTT2I",
    r"^pid": "PiD",
    r"hunyuan_video": "HunyuanVideo",
    r"hunyuanvideo1.5|capybara": "HunyuanVideo15",
    r"sd_turbo|sd21": "SD20",
}
# Classes without a tiny model, as ComfyUI calls them.
OTHERS = {
    r"wan|humo|scail|bernini|chrono_edit|void|causal_forcing": "WAN21",
    r"ltx": "LTXV",
    r"minimax": "MiniMaxH3",
    r"ace": "ACEStep",
    r"stable.audio": "StableAudio",
    r"lotus": "LotusD",
    r"seedvr": "SeedVR2",
    r"triposplat|hunyuan.?3d": "3D",
    r"svd": "SVD",
    r"kandinsky5": "Kandinsky5",
}

_LARGEST = 96  # pixels of a picture's side


def _by_name():
    found = {tiny.kind: tiny for tiny in reversed(MODELS)}
    found["NewBie"] = next(tiny for tiny in MODELS if tiny.models == "NewBie")
    flux = found["Flux"]
    found["Flux canny"] = replace(flux, config=flux.config | {"in_channels": 32}, models="Flux.1 canny, depth")
    ovis = {"guidance_embed": False, "vec_in_dim": None, "yak_mlp": True, "txt_norm": True, "txt_ids_dims": [1, 2]}
    found["Ovis"] = replace(flux, config=flux.config | ovis, extra=lambda random, tokens: {}, models="Ovis-Image")
    return found


TINY = _by_name()


def model_of(file):
    """(TinyModel or None, name of the class, "" where it draws no picture from text)"""
    name = str(file).lower().rpartition("/")[2]
    for part, kind in FILES.items():
        if re.search(part, name):
            return TINY[kind], TINY[kind].kind
    return None, next((kind for part, kind in OTHERS.items() if re.search(part, name)), "")


class _Tokens(dict):
    def __missing__(self, name):
        return self.get("text", "")


class Encoder:
    """Texts differ in length where the class knows lengths."""

    def __init__(self, tiny):
        self._tiny = tiny

    def tokenize(self, text, *args, **kwargs):
        return _Tokens(text=text)

    def encode_from_tokens_scheduled(self, tokens, unprojected=False, add_dict=None, show_pbar=True):
        seed = zlib.crc32(repr(sorted(map(str, tokens.items()))).encode()) % 10_000
        length = self._tiny.tokens + (seed % 3 if self._tiny.length_matters else 0)
        return [[embeddings, {**extra, **(add_dict or {})}] for embeddings, extra in self._tiny.conditioning(seed, length)]

    def encode_from_tokens(self, tokens, return_pooled=False, return_dict=False):
        ((embeddings, extra),) = self.encode_from_tokens_scheduled(tokens)
        if return_dict:
            return {"cond": embeddings, **extra}
        return (embeddings, extra.get("pooled_output")) if return_pooled else embeddings

    def clone(self, **kwargs):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self


class Codec:
    def __init__(self, tiny, model):
        latents = model.get_model_object("latent_format")
        self.latent_channels, self._ratio = latents.latent_channels, int(latents.spacial_downscale_ratio)
        self._is_video = len(tiny.latent) == 4

    def encode(self, pixels):
        pixels = pixels if pixels.ndim == 4 else pixels[None]
        # Some nodes enlarge a reference to a million pixels before they encode it.
        height, width = (max(2, min(side, _LARGEST) // self._ratio // 2 * 2) for side in pixels.shape[1:3])
        seed = int(pixels.float().mean() * 1e6)
        frames = len(pixels)
        shape = (1, self.latent_channels, (frames - 1) // 4 + 1) if self._is_video else (frames, self.latent_channels)
        shape = *shape, height, width
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    encode_tiled = encode

    def decode(self, latents):
        """Grey pictures, [n, H, W, 3], of the first channel, of a video's first frame."""
        grey = latents[:, :1, 0] if self._is_video else latents[:, :1]
        grey = grey.sigmoid().repeat_interleave(self._ratio, 2).repeat_interleave(self._ratio, 3)
        return grey.movedim(1, -1).repeat(1, 1, 1, 3)

    def spacial_compression_encode(self):
        return self._ratio

    spacial_compression_decode = spacial_compression_encode

    def temporal_compression_decode(self):
        return 4
