"""What nodes are given in these tests, and how it is seen what they have the models do."""

import contextlib
import itertools
from functools import cache, cached_property
from pathlib import Path

import comfy.model_management
import comfy.sample
import folder_paths
import numpy as np
import pytest
import torch
from comfy_extras.nodes_custom_sampler import Guider_Basic
from safetensors.torch import save_file
from text_layers.demo import comfy_model, signs
from text_layers.patching import models
from text_layers.scoring.ocr import ENGINES
from text_layers.testing.tiny_if import CONFIG

SOURCE, TARGET = 'a red round sign on a blue wall that says "CAFE"', 'a white square sign on a green wall that says "HOTEL"'
SIZE = (12, 16, 32)  # of the demo models' latents


class World:
    """folder: where files may be written; read: (engine's name, picture) of all that was read so far."""

    def __init__(self, folder):
        self.folder, self.read, self._numbers, self._saved = folder, [], itertools.count(), set()

    @cache  # noqa: B019
    def loaded(self, name):
        return comfy_model.load(name)

    @cached_property
    def mmdit(self):
        return self.loaded("mmdit")[0]

    @cached_property
    def unet(self):
        return self.loaded("unet")[0]

    @cached_property
    def clip(self):
        return self.loaded("mmdit")[1]

    @cached_property
    def vae(self):
        return self.loaded("mmdit")[2]

    @cached_property
    def other(self):
        """The MMDiT with other weights."""
        model = comfy_model.load("mmdit")[0]
        with torch.no_grad():
            for weight in model.model.diffusion_model.parameters():
                weight.mul_(1.05)
        return model

    @cached_property
    def negating(self):
        """A VAE whose pictures have the opposite colours."""
        vae = comfy_model.load("mmdit")[2]
        inner = vae.first_stage_model
        encode, decode = inner.encode, inner.decode
        inner.encode, inner.decode = lambda pixels: -encode(pixels), lambda latents: decode(-latents)
        return vae

    @cache  # noqa: B019
    def layers(self, text, name="mmdit"):
        return models.written(getattr(self, name), text)

    @cache  # noqa: B019
    def encoded(self, text):
        return self.clip.encode_from_tokens_scheduled(self.clip.tokenize(text))

    @cache  # noqa: B019
    def sign(self, word, wall="blue", seed=1, rows=1):
        """An IMAGE of the demo models' size."""
        return torch.from_numpy(signs.draw([signs.Sign(word, "white", wall, "square")] * rows, np.random.default_rng(seed))).float() / 255

    @cache  # noqa: B019
    def latent(self, word="CAFE"):
        return {"samples": self.vae.encode(self.sign(word))}

    def draw(self, model, positive=SOURCE):
        """Latents of the picture of a prompt after two steps."""
        noise = comfy.sample.prepare_noise(torch.zeros(1, *SIZE), 1)
        prompts = self.encoded(positive), self.encoded("a green sign")
        return comfy.sample.sample(model, noise, 2, 3.0, "euler", "simple", *prompts, torch.zeros_like(noise), disable_pbar=True)

    def guider(self, text=SOURCE):
        guider = Guider_Basic(self.mmdit)
        guider.set_conds(self.encoded(text))
        return guider

    def lora(self, name, seed=0):
        """The name of a file in models/loras: a LoRA of two of the MMDiT's layers and of a layer of its text encoder."""
        return self._written("loras", name, lambda path: save_file(self._lora(seed), path))

    @cached_property
    def trained_lora(self):
        """The name of a LoRA in models/loras that Train Localized LoRA made of the layer 0."""
        from text_layers.lora.train import Settings, train

        lora = train(self.mmdit, [self.latent()["samples"][0]], [self.encoded(SOURCE)], self.layers("0"), Settings(rank=2, steps=1)).tensors
        return self._written("loras", "trained.safetensors", lambda path: save_file(dict(lora), path, lora.metadata))

    def _lora(self, seed):
        random, tensors = torch.Generator().manual_seed(seed), {}
        shapes = {f"diffusion_model.{key}": w.shape for key, w in self.mmdit.model.diffusion_model.state_dict().items()}
        of_clip = {f"text_encoders.{key}": w.shape for key, w in self.clip.cond_stage_model.state_dict().items() if w.ndim == 2}
        of_text = next(key for key in of_clip if "linear1" in key)
        wanted = [*(f"diffusion_model.joint_blocks.{n}.x_block.attn.qkv.weight" for n in (0, 3)), of_text]
        for key in wanted:
            out, into = (shapes | of_clip)[key]
            tensors[key.replace(".weight", ".lora_up.weight")] = torch.randn(out, 2, generator=random)
            tensors[key.replace(".weight", ".lora_down.weight")] = torch.randn(2, into, generator=random)
        return tensors

    def layers_file(self, name, text):
        return self._written("text_layers", name, lambda path: path.write_text(self.layers(text).to_json()))

    def deepfloyd(self, seed):
        """The name of a tiny random IF in models/diffusers."""
        from diffusers import UNet2DConditionModel

        torch.manual_seed(seed)
        return self._written("diffusers", f"IF-{seed}", UNet2DConditionModel(**CONFIG).save_pretrained)

    def _written(self, kind, name, write):
        path = self.folder / kind / name
        if not path.exists():
            write(path)
            folder_paths.filename_list_cache.clear()
        return name

    @contextlib.contextmanager
    def fresh(self, kind):
        """An empty folder in the place of ComfyUI's output or user folder or of models/text_layers."""
        folder = self.folder / f"{kind} {next(self._numbers)}"
        folder.mkdir()
        with pytest.MonkeyPatch.context() as elsewhere:
            if kind == "text_layers":
                elsewhere.setitem(folder_paths.folder_names_and_paths, kind, ([str(folder)], {".json"}))
            else:
                elsewhere.setattr(folder_paths, f"{kind}_directory", str(folder))
            yield folder

    def saves(self):
        """How often a training was saved in ComfyUI's output folder, as far as it was asked each time."""
        found = Path(folder_paths.get_output_directory()).rglob("*.training")
        self._saved |= {(str(path), path.stat().st_mtime_ns) for path in found}
        return sum(name.startswith(folder_paths.get_output_directory()) for name, _ in self._saved)


@contextlib.contextmanager
def watched(model, look=lambda: None):
    """A list of {"x", "level", "text", "look"} of the model's calls inside: latents and noise levels of all rows, embeddings, and what
    look() gives then."""
    calls = []

    def note(module, args, kwargs):
        given = dict(zip(("x", "timesteps"), args, strict=False)) | kwargs
        tensors = {name: given[key].detach().clone() for name, key in (("x", "x"), ("level", "timesteps"), ("text", "context"))}
        calls.append(tensors | {"look": look()})

    handle = model.model.diffusion_model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


@contextlib.contextmanager
def reading(world, stop=False):
    """world.read grows by what OCR is given inside; stop: the first reading ends the run."""
    with pytest.MonkeyPatch.context() as watch:
        for kind in ENGINES.values():

            def find(self, picture, enlarge=1, inner=kind.find):
                world.read.append((f"{self.name} {self.language}", torch.from_numpy(picture.copy())))
                if stop:
                    raise comfy.model_management.InterruptProcessingException
                return inner(self, picture, enlarge)

            watch.setattr(kind, "find", find)
        yield
