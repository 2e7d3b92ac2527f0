"""Latents and captions on disk, and pictures in buckets."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from text_layers.lora.cache import Cache
from text_layers.lora.dataset import bucket, read_folder

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
        cache = Cache(tmp_path / "cache", [model], "sd3")
        assert cache.latent(picture, latent).equal(latent.value)
        (((embeddings, extra)),) = cache.prompt("a sign", prompt)
        assert embeddings.equal(PROMPT[0][0]) and extra.keys() == PROMPT[0][1].keys() and extra["pooled_output"].equal(torch.zeros(1, 4))
        assert (extra["attention_mask"], extra["guidance"]) == (None, 3.5)
    assert latent.calls == prompt.calls == 1
    # Another picture, another caption, another model, and a file that is damaged.
    cache.latent(picture.flip(1), latent)
    cache.prompt("a sign ", prompt)
    os.utime(model, ns=(1, 1))
    Cache(tmp_path / "cache", [model], "sd3").latent(picture, latent)
    assert (latent.calls, prompt.calls) == (3, 2)
    # The same text encoders, read as another model's.
    Cache(tmp_path / "cache", [model], "flux").prompt("a sign", prompt)
    Cache(tmp_path / "cache", [model], "flux").prompt("a sign", prompt)
    assert prompt.calls == 3
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    assert cache.latent(picture, latent).equal(latent.value) and latent.calls == 4


def test_prompts_that_hold_more_are_made_anew(tmp_path):
    prompt = Maker([[torch.ones(1), {"control": object()}]])
    for _ in range(2):
        assert Cache(tmp_path / "cache", [], "sd3").prompt("a", prompt) is prompt.value
    assert prompt.calls == 2 and not (tmp_path / "cache").exists()


def test_a_caption_that_names_a_file_of_embeddings_is_not_kept(tmp_path):
    prompt = Maker(PROMPT)
    for _ in range(2):
        Cache(tmp_path / "cache", [], "sd3").prompt("a sign, embedding:mine", prompt)
    assert prompt.calls == 2


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
