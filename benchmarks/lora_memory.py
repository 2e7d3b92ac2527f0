"""How much memory training takes: `python dev.py run benchmarks.lora_memory --out FILE.json`

Counted on models of full size without their weights, one picture of 1024 x 1024 a step, rank 4, computed in bfloat16: the model's weights,
and the most that one step holds beside them (lora/memory.py). "kept weights" is what it was while autograd kept each weight that it used.
"""

import argparse
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import comfy.cli_args

comfy.cli_args.args.use_pytorch_cross_attention = True  # as on a card

import comfy.model_patcher
import comfy.supported_models
import torch

from ..lora import memory
from ..lora.examples import Example, at_rest, encoded
from ..lora.train import Settings
from ..patching import models
from . import full_size
from .tiny_models import MODELS as TINY
from .record import environment

NOWHERE = torch.device("meta")
FLUX = next(tiny.full for tiny in TINY if tiny.kind == "Flux")


def prompt(tokens, channels, pooled):
    return [[torch.zeros(1, tokens, channels), {"pooled_output": torch.zeros(1, pooled)}]]


# name: class, configuration, channels of the latent, prompt, layers (None for the published ones)
MODELS = {
    "SDXL": ("SDXL", full_size.SDXL, 4, prompt(77, 2048, 1280), None),
    "SD3 medium": ("SD3", full_size.SD3_MEDIUM, 16, prompt(256, 4096, 2048), None),
    "SD3.5 large": ("SD3", full_size.SD35_LARGE, 16, prompt(256, 4096, 2048), "19"),
    "Flux.1 dev": ("Flux", FLUX, 16, prompt(256, 4096, 768), "19"),
}
WEIGHTS = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}


def model_of(name, weights):
    """(MODEL without memory for its weights, text layers, an example)"""
    kind, config, channels, text, layers = MODELS[name]
    settings = getattr(comfy.supported_models, kind)(dict(config))
    settings.set_inference_dtype(weights, torch.bfloat16)
    model = comfy.model_patcher.ModelPatcher(settings.get_model({}, device=NOWHERE), load_device=NOWHERE, offload_device=NOWHERE)
    latent = torch.zeros(1, channels, 128, 128)
    model.load_device = torch.device("cpu")
    cond = at_rest(encoded(model, text, latent))
    layers = models.written(model, layers) if layers else models.preset(model)
    return model, layers, Example(latent, latent, torch.ones(1), cond)


def rows(name, weights):
    model, layers, example = model_of(name, WEIGHTS[weights])
    settings = Settings(low_precision=True)
    found = {
        "model": name,
        "weights": weights,
        "layers": ", ".join(map(str, layers.numbers)) if hasattr(layers, "numbers") else len(layers.names),
        "weights_bytes": sum(p.numel() * p.element_size() for p in model.model.diffusion_model.parameters()),
    }
    for checkpointing in (False, True):
        found["checkpointing" if checkpointing else "plain"] = memory.counted(model, [example], layers, settings, checkpointing)
        with mock.patch.object(memory, "unkept", lambda model: nullcontext()):
            found["kept " + ("checkpointing" if checkpointing else "plain")] = memory.counted(
                model, [example], layers, settings, checkpointing
            )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=MODELS, nargs="+", default=list(MODELS))
    a = parser.parse_args()
    result = {**environment(), "rows": []}
    for name in a.only:
        for weights in WEIGHTS:
            result["rows"].append(rows(name, weights))
            print({k: v if not isinstance(v, int) or v < 2**20 else round(v / 2**30, 2) for k, v in result["rows"][-1].items()}, flush=True)
            a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
