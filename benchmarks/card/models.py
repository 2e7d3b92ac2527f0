"""The models of the cases.

build      Case -> Built
release    gives memory back
"""

import gc
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management
import comfy.sample
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper

from ...demo import comfy_model, pictures
from ...testing import full_size
from ...testing.tiny_models import MODELS
from ...testing.tiny_models.flux import FULL as FLUX
from .cases import PRECISIONS


@dataclass
class Built:
    model: Any
    source: list
    target: list
    shape: tuple
    steps: int
    cfg: float = 5.0

    def draw(self, model=None, positive=None, callback=None):
        noise = torch.randn(self.shape, generator=torch.Generator().manual_seed(0))
        return comfy.sample.sample(
            model or self.model, noise, self.steps, self.cfg, "euler", "simple", positive or self.source, self.source,
            torch.zeros(self.shape), callback=callback, disable_pbar=True, seed=0,
        )  # fmt: skip


def build(case):
    weights, compute = (getattr(torch, name) if name else None for name in PRECISIONS[case.precision])
    built = _BUILDERS[case.model](weights, compute)
    if case.compiled:
        # As ComfyUI's TorchCompileModel does it.
        options = {"guard_filter_fn": lambda guards: ["transformer_options" not in guard.name for guard in guards]}
        set_torch_compile_wrapper(built.model, case.compiled, options=options)
    return built


def release():
    comfy.model_management.unload_all_models()
    torch._dynamo.reset()
    gc.collect()
    comfy.model_management.soft_empty_cache(True)


def _demo(name, weights, compute):
    model, clip, _ = comfy_model.load(name)
    prompts = [pictures.encode(clip, [f'a red sign on a blue wall that says "{word}"']) for word in ("CAFE", "HOTEL")]
    diffusion_model = model.model.diffusion_model.to(weights)
    diffusion_model.dtype = compute or weights
    if compute:
        model.model.manual_cast_dtype = compute
        for module in diffusion_model.modules():
            if hasattr(module, "comfy_cast_weights"):
                module.comfy_cast_weights = True  # which ComfyUI says when it makes a model of such weights
    return Built(model, *prompts, (1, 12, 16, 32), 4, pictures.CFG)


def _tiny(kind, weights, compute):
    tiny = next(tiny for tiny in MODELS if tiny.kind == kind)
    return Built(tiny.build(weights, compute), tiny.conditioning(0), tiny.conditioning(1), (1, *tiny.latent), 3)


def _full(kind, config, shape, text, extra, cfg, weights, compute):
    import comfy.supported_models

    model = full_size.random_model(getattr(comfy.supported_models, kind), config, weights, compute, on_card=True)
    generator = torch.Generator().manual_seed(0)

    def prompt():
        more = {name: torch.randn(1, size, generator=generator) if name == "pooled_output" else size for name, size in extra.items()}
        return [[torch.randn(1, *text, generator=generator), more]]

    return Built(model, prompt(), prompt(), shape, 2, cfg)


_BUILDERS = {
    "demo unet": partial(_demo, "unet"),
    "demo mmdit": partial(_demo, "mmdit"),
    "tiny SDXL": partial(_tiny, "SDXL"),
    "tiny SD3": partial(_tiny, "SD3"),
    "tiny Flux": partial(_tiny, "Flux"),
    # Pictures of 1024 x 1024.
    "SDXL": partial(_full, "SDXL", full_size.SDXL, (1, 4, 128, 128), (77, 2048), {"pooled_output": 1280}, 5.0),
    "SD3 medium": partial(_full, "SD3", full_size.SD3_MEDIUM, (1, 16, 128, 128), (154, 4096), {"pooled_output": 2048}, 5.0),
    "Flux": partial(_full, "Flux", FLUX, (1, 16, 128, 128), (512, 4096), {"pooled_output": 768, "guidance": 3.5}, 1.0),
}
