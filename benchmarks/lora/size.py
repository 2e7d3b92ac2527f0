"""How large LoRAs of the paper's models are: `python dev.py run benchmarks.lora.size --out FILE.json`

The numbers of a LoRA of rank 4 on the published text layers and on all layers that attend to the text, counted on models of full size
without their weights.
"""

import argparse
import json
from pathlib import Path

import comfy.model_patcher
import comfy.supported_models
import torch

from ...lora.adapters import adapters
from ...patching import models
from ...testing import full_size

RANK = 4
MODELS = {"SDXL": (comfy.supported_models.SDXL, full_size.SDXL), "SD3 medium": (comfy.supported_models.SD3, full_size.SD3_MEDIUM)}


def numbers(supported_model, config):
    settings = supported_model(dict(config))
    settings.set_inference_dtype(torch.bfloat16, None)
    nowhere = torch.device("meta")
    model = comfy.model_patcher.ModelPatcher(settings.get_model({}, device=nowhere), load_device=nowhere, offload_device=nowhere)
    every = models.written(model, f"0-{len(models.layer_names(model)) - 1}")
    found = {}
    for name, layers in (("text layers", models.preset(model)), ("all layers", every)):
        with adapters(model, layers, RANK, RANK, seed=0) as added:
            found[name] = sum(p.numel() for p in added.parameters())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    a.out.write_text(json.dumps({name: numbers(*what) for name, what in MODELS.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
