"""What stands for a template's files: a tiny random model of the class, and a text encoder and a VAE that fit it.

model_of    the tiny model that a file's name stands for
Encoder     a CLIP: a random prompt for each text, of a length of its own
Codec       a VAE: latents of the model's channels and size for any picture, and grey pictures of latents
SoundCodec  an audio VAE likewise
heard       what an audio encoder gives
seen        what CLIP vision gives
speaking    a model patch of InfiniteTalk
"""

import re
import zlib
from dataclasses import replace
from types import SimpleNamespace

import comfy.model_patcher
import comfy.ops
import torch

from ....testing.tiny_models import MODELS
from ....testing.tiny_models.model import fill

# Parts of file names, the more special first.
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
    r"kandinsky5": "Kandinsky5",
    r"^lens": "Lens",
    r"longcat": "LongCatImage",
    r"netayume": "Lumina2",
    r"newbie": "NewBie",
    r"pixeldit": "PixelDiTT2I",
    r"^pid": "PiD",
    r"hunyuan_video": "HunyuanVideo",
    r"hunyuanvideo1.5.*_sr": "HunyuanVideo15_SR_Distilled",
    r"hunyuanvideo1.5|capybara": "HunyuanVideo15",
    r"sd_turbo|sd21": "SD20",
    r"minimax_h3": "MiniMaxH3",
    r"ltx-video": "LTXV",
    r"ltx-2.3": "LTX-2.3",
    r"ltx-2": "LTX-2",
    r"^void": "CogVideoX_Inpaint",
    r"causal_forcing": "WAN21_CausalAR_T2V",
    r"vace": "WAN21_Vace",
    r"humo": "WAN21_HuMo",
    r"_s2v": "WAN22_S2V",
    r"scail_2": "WAN21_SCAIL2",
    r"dancer": "WAN22_WanDancer",
    r"wan2.2_fun_camera": "WAN22_Camera",
    r"fun_camera": "WAN21_Camera",
    r"wan2.1_fun_control": "WAN21_FunControl2V",
    r"fun_control_5b": "Wan 2.2 5B control",
    r"fun_inpaint_5b": "Wan 2.2 5B inpaint",
    r"ti2v_5b": "WAN22_T2V",
    r"wan2.2_fun_control": "Wan 2.2 control",
    r"wan2.2_(fun_inpaint|i2v)": "Wan 2.2 image to video",
    r"i2v|flf2v|fun_inp|wanmove|chrono_edit": "WAN21_I2V",
    r"t2v|bernini": "WAN21_T2V",
}
# Classes whose models draw no words of a text.
OTHERS = {
    r"ace": "ACEStep",
    r"stable.audio": "StableAudio",
    r"lotus": "LotusD",
    r"seedvr": "SeedVR2",
    r"triposplat": "TripoSplat",
    r"hunyuan.?3d": "Hunyuan3Dv2",
    r"svd": "SVD_img2vid",
    r"rt_detr": "RT_DETR_v4",
    r"sam3": "SAM3",
}

_LARGEST = 96  # pixels of a picture's side


def _by_name():
    found = {tiny.kind: tiny for tiny in reversed(MODELS)}
    for name, models in (("NewBie", "NewBie"), ("LTX-2", "LTX-2"), ("LTX-2.3", "LTX-2.3"),
                         ("Wan 2.2 image to video", "Wan 2.2 14B image to video")):  # fmt: skip
        found[name] = next(tiny for tiny in MODELS if tiny.models == models)
    wan, small = found["WAN21_T2V"], found["WAN22_T2V"]
    control = {"in_dim": 52, "in_dim_ref_conv": 16}
    found["Wan 2.2 control"] = replace(wan, config=wan.config | control, models="Wan 2.2 14B Fun Control")
    control = {"in_dim": 148, "in_dim_ref_conv": 48}
    found["Wan 2.2 5B control"] = replace(small, config=small.config | control, models="Wan 2.2 5B Fun Control")
    found["Wan 2.2 5B inpaint"] = replace(small, config=small.config | {"in_dim": 100}, models="Wan 2.2 5B Fun Inpaint")
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
        self.latent_channels = tiny.latent[0]
        self._ratio, self._frames = int(latents.spacial_downscale_ratio), int(latents.temporal_downscale_ratio)
        self._is_video = len(tiny.latent) == 4
        self.downscale_index_formula = self._frames, self._ratio, self._ratio

    def encode(self, pixels):
        pixels = pixels if pixels.ndim == 4 else pixels[None]
        # Some nodes enlarge a reference to a million pixels before they encode it. Most models make one token of two by two.
        even = 2 if self._ratio < 32 else 1
        height, width = (max(even, min(side, _LARGEST) // self._ratio // even * even) for side in pixels.shape[1:3])
        seed = int(pixels.float().mean() * 1e6)
        frames = len(pixels)
        shape = (1, self.latent_channels, (frames - 1) // self._frames + 1) if self._is_video else (frames, self.latent_channels)
        return _random(seed)(*shape, height, width)

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
        return self._frames


class SoundCodec:
    audio_sample_rate = 16_000

    def __init__(self, tiny):
        self._shape = tiny.sound
        self.latent_channels, moments, bins = tiny.sound
        self.first_stage_model = SimpleNamespace(latent_frequency_bins=bins, num_of_latents_from_frames=lambda frames, rate: moments)

    def encode(self, waveform):
        return _random(len(waveform))(1, *self._shape)


def heard(tiny):
    """Some moments of sound, in all layers of Whisper (HuMo) or of wav2vec, large (S2V) or small; and as WanDancer has it."""
    layers, width = {"WAN21_HuMo": (33, 1280), "WAN22_S2V": (25, 1024)}.get(tiny.kind, (13, 768))
    random = _random(3)
    return {"encoded_audio_all_layers": [random(1, 50, width) for _ in range(layers)], "encoded_audio": random(1, 50, width),
            "audio_samples": 16_000, "audio_feature": random(1, 6, 35), "fps": 30.0}  # fmt: skip


def speaking(tiny):
    """The model patch of InfiniteTalk, for the sizes of a tiny Wan 2.1."""
    from comfy.ldm.wan.model_multitalk import RotaryPositionalEmbedding1D  # ComfyUI 0.3.75 has none
    from comfy_extras.nodes_model_patch import MultiTalkModelPatch

    width, heads = tiny.config["dim"], tiny.config["num_heads"]
    patch = MultiTalkModelPatch(intermediate_dim=8, in_dim=width, out_dim=8, context_tokens=2, num_layers=tiny.config["num_layers"],
                                operations=comfy.ops.manual_cast)  # fmt: skip
    for block in patch.blocks:
        attention = block.audio_cross_attn
        attention.num_heads, attention.head_dim = heads, width // heads
        attention.rope_1d = RotaryPositionalEmbedding1D(width // heads)
    fill(patch, seed=7)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(patch, load_device=cpu, offload_device=cpu)


def seen(tiny, link):
    """Of CLIP, or of SigLIP where the model has weights for that."""
    random, width = _random(zlib.crc32(repr(link).encode())), tiny.config.get("vision_in_dim") or 1280
    states = {"penultimate_hidden_states": random(1, 257, width), "last_hidden_state": random(1, 257, width)}
    return SimpleNamespace(**states, image_embeds=random(1, 1024))


def _random(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator)
