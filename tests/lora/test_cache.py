"""Latents and captions on disk, and pictures in buckets."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from text_layers.lora.cache import Cache
from text_layers.lora.dataset import bucket, read_folder
from text_layers.lora.model_files import load

pytestmark = pytest.mark.any_comfyui

PROMPT = [[torch.ones(1, 2, 3), {"pooled_output": torch.zeros(1, 4), "attention_mask": None, "guidance": 3.5}]]


class Maker:
    def __init__(self, value):
        self.value, self.calls = value, 0

    def __call__(self, what):
        self.calls += 1
        return self.value


def test_what_is_kept_is_not_made_again(tmp_path):
    model, picture = tmp_path / "model.safetensors", torch.rand(1, 4, 6, 3)
    model.write_bytes(b"1")
    latent, prompt = Maker(torch.rand(4, 2, 3)), Maker(PROMPT)
    for _ in range(2):
        cache = Cache(tmp_path / "cache", [model])
        assert cache.latent(picture, latent).equal(latent.value)
        (((embeddings, extra)),) = cache.prompt("a sign", prompt)
        assert embeddings.equal(PROMPT[0][0]) and extra.keys() == PROMPT[0][1].keys() and extra["pooled_output"].equal(torch.zeros(1, 4))
        assert (extra["attention_mask"], extra["guidance"]) == (None, 3.5)
    assert latent.calls == prompt.calls == 1
    # Another picture, another caption, another model, and a file that is damaged.
    cache.latent(picture.flip(1), latent)
    cache.prompt("a sign ", prompt)
    os.utime(model, ns=(1, 1))
    Cache(tmp_path / "cache", [model]).latent(picture, latent)
    assert (latent.calls, prompt.calls) == (3, 2)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    assert cache.latent(picture, latent).equal(latent.value) and latent.calls == 4


def test_prompts_that_hold_more_are_made_anew(tmp_path):
    prompt = Maker([[torch.ones(1), {"control": object()}]])
    for _ in range(2):
        assert Cache(tmp_path / "cache", []).prompt("a", prompt) is prompt.value
    assert prompt.calls == 2 and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("own", [(1000, 1000), (1600, 900), (300, 900), (3, 4)])
def test_buckets_keep_proportions(own):
    width, height = bucket(1024, 1024, own)
    assert width % 64 == height % 64 == 0 and 0.8 * 1024**2 <= width * height <= 1024**2
    # No more is cut off than the nearest multiples of 64 make necessary: within 64 pixels of the ideal side.
    assert abs(width - 1024 * (own[0] / own[1]) ** 0.5) <= 64


def test_a_folder_in_buckets(tmp_path):
    for name, size in (("a", (160, 90)), ("b", (90, 160))):
        Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(name)
    pictures, _ = read_folder(tmp_path, lambda own: bucket(512, 512, own))
    assert [tuple(p.shape[1:3]) for p in pictures] == [(384, 640), (640, 384)]


class Arguments:
    demo = checkpoint = diffusion_model = clip = vae = None
    clip_type = "stable_diffusion"

    def __init__(self, **values):
        vars(self).update(values)


def separate_files(folder):
    """(weights, their file, a VAE's file) of the tiny Stable Diffusion 3."""
    from safetensors.torch import save_file
    from text_layers.benchmarks.tiny_models import MODELS

    tiny = next(tiny for tiny in MODELS if tiny.kind == "SD3")
    # ComfyUI takes it for one of Stable Diffusion 3, whose last block lets its text go.
    short = "joint_blocks.1.context_block.adaLN_modulation.1."
    own = tiny.build().model.diffusion_model.state_dict()
    weights = {name: w[: 256 if name.startswith(short) else None].clone() if w.ndim else w for name, w in own.items()}
    alone, vae = folder / "alone.safetensors", folder / "vae.safetensors"
    save_file(weights, alone)
    save_file({"pixel_space_vae": torch.tensor(1.0)}, vae)
    return weights, alone, vae


def test_models_in_separate_files(tmp_path):
    _, alone, vae = separate_files(tmp_path)
    for arguments, message in (
        ({}, "alone.safetensors has no text encoder: give one with --clip"),
        ({"vae": vae}, "alone.safetensors has no text encoder: give one with --clip"),
        ({"vae": tmp_path / "nowhere"}, "There is no file .*nowhere"),
        ({"clip": [alone], "clip_type": "sd4"}, "no text encoder of type sd4. There are: stable_diffusion, "),
    ):
        with pytest.raises(ValueError, match=message):
            load(Arguments(diffusion_model=alone, **arguments))


def test_text_encoder_in_its_own_file(tmp_path):
    """All three are what the files hold. ComfyUI makes fewer blocks of the tiny model's file than are in it."""
    import comfy.sd1_clip
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    sizes = {name: w.shape for name, w in comfy.sd1_clip.SDClipModel(dtype=torch.float16).transformer.state_dict().items()}
    text = {name: torch.randn(size, generator=generator).half() for name, size in sizes.items()}
    weights, alone, vae = separate_files(tmp_path)
    save_file(text, tmp_path / "clip_l.safetensors")
    model, clip, decoder = load(Arguments(diffusion_model=alone, vae=vae, clip=[tmp_path / "clip_l.safetensors"]))
    loaded = clip.cond_stage_model.clip_l.transformer.state_dict()
    assert loaded.keys() == text.keys() and all(torch.equal(loaded[name].half(), w) for name, w in text.items())
    found = model.model.diffusion_model.state_dict()
    assert found and all(torch.equal(w.to(weights[name]), weights[name]) for name, w in found.items())
    assert decoder.decode(torch.zeros(1, 3, 8, 8)).shape == (1, 8, 8, 3)
