"""How much memory training takes: `python dev.py run benchmarks.lora.memory --out FILE.json`

Counted on models of full size without their weights, one picture of 1024 x 1024 a step, rank 4, computed in bfloat16: the model's weights,
and the most that a step holds beside them (lora/memory.py), without and with gradient checkpointing. "kept": while autograd keeps the
weights that it computes with, as it does by itself. Rows that FILE has are not counted again.
"""

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import comfy.model_patcher
import comfy.supported_models
import torch

from ...lora import memory
from ...lora.examples import Example, at_rest, encoded
from ...lora.train import Settings
from ...patching import models
from ...testing import full_size
from ...testing.tiny_models import MODELS as TINY
from ..record import environment

FLUX = next(tiny.full for tiny in TINY if tiny.kind == "Flux")
WEIGHTS = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}


def prompt(tokens, channels, pooled):
    return [[torch.zeros(1, tokens, channels), {"pooled_output": torch.zeros(1, pooled)}]]


# (name, class, configuration, channels of the latent, prompt, text layers)
MODELS = [
    ("SDXL", "SDXL", full_size.SDXL, 4, prompt(77, 2048, 1280), "55-57"),
    ("SD3 medium", "SD3", full_size.SD3_MEDIUM, 16, prompt(256, 4096, 2048), "10"),
    ("Flux.1 dev", "Flux", FLUX, 16, prompt(256, 4096, 768), "19"),
    ("Flux.1 dev", "Flux", FLUX, 16, prompt(256, 4096, 768), "0"),
]


def row(name, kind, config, channels, text, layers, weights):
    """{"model", "weights", "layers", "weights_bytes", "kept", "plain", "checkpointing"}; the last three are bytes of a step."""
    configuration = getattr(comfy.supported_models, kind)(dict(config))
    configuration.set_inference_dtype(WEIGHTS[weights], torch.bfloat16)
    own, cpu = configuration.get_model({}, device="meta"), torch.device("cpu")
    model = comfy.model_patcher.ModelPatcher(own, load_device=cpu, offload_device=cpu)
    latent = torch.zeros(1, channels, 128, 128)
    example = Example(latent, latent, torch.ones(1), at_rest(encoded(model, text, latent)))

    def count(checkpointing):
        return memory.counted(model, [example], models.written(model, layers), Settings(low_precision=True), checkpointing)

    with mock.patch.object(memory, "unkept", lambda model: nullcontext()):
        kept = count(False)
    size = sum(p.numel() * p.element_size() for p in own.diffusion_model.parameters())
    return {"model": name, "weights": weights, "layers": layers, "weights_bytes": size, "kept": kept, "plain": count(False),
            "checkpointing": count(True)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    result = json.loads(a.out.read_text("utf-8")) if a.out.exists() else {**environment(), "rows": []}
    for *model, layers in MODELS:
        for weights in WEIGHTS:
            if not any((found["model"], found["layers"], found["weights"]) == (model[0], layers, weights) for found in result["rows"]):
                result["rows"].append(row(*model, layers, weights))
                print({k: v if isinstance(v, str) else f"{v / 2**30:.2f} GiB" for k, v in result["rows"][-1].items()}, flush=True)
                a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
