"""What patching costs: `python dev.py run benchmarks.cost --out FILE.json`

Sampling time with our node over sampling time without it, both in turn in one process: the demo models, and random models with the
full width and depth of SDXL and SD3-medium (half as many rounds). Also the time that importing the pack takes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import comfy.sample
import comfy.supported_models
import torch

from ..demo import comfy_model, pictures
from ..patching import models
from ..patching.patch import OWN_RUN, SAME_LATENTS, patch_prompt
from . import full_size
from .record import environment

ROOT = Path(__file__).parents[1]


def ratio(without, with_, rounds):
    """Ratio of the fastest of each of two calls' wall times, which other work on the machine disturbs least; and median,
    smallest and largest of the ratios round by round, after one uncounted round.

    Which call comes first changes from round to round, so that a processor that slows down or speeds up favours neither.
    """
    found = []
    fastest = {without: float("inf"), with_: float("inf")}
    for number in range(rounds + 1):
        times = {}
        for call in (without, with_) if number % 2 else (with_, without):
            started = time.perf_counter()
            call()
            times[call] = time.perf_counter() - started
        if number:
            found.append(times[with_] / times[without])
            fastest = {call: min(fastest[call], times[call]) for call in fastest}
    return {
        "of_fastest": round(fastest[with_] / fastest[without], 3),
        "median": round(statistics.median(found), 3),
        "smallest": round(min(found), 3),
        "largest": round(max(found), 3),
    }


def sampling(model, prompt, shape, steps):
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return lambda: comfy.sample.sample(
        model, noise, steps, 5.0, "euler", "normal", prompt, prompt, torch.zeros(shape), disable_pbar=True, seed=0
    )


def compare(model, prompts, shape, steps, methods, rounds):
    text_layers = models.preset(model)
    plain = sampling(model, prompts[0], shape, steps)
    out = {}
    for method in methods:
        patched = patch_prompt(model, text_layers, prompts[1], method=method)
        out[method] = ratio(plain, sampling(patched, prompts[0], shape, steps), rounds)
    return {"layers": text_layers.names, **out}


def demo(name, methods, rounds):
    model, clip, _ = comfy_model.load(name)
    prompts = [pictures.encode(clip, [f'a red sign on a blue wall that says "{word}"']) for word in ("CAFE", "HOTEL")]
    return compare(model, prompts, (4, 12, 16, 32), 12, methods, rounds)


def full(supported_model, config, width, pooled, shape, methods, rounds):
    model = full_size.random_model(supported_model, config)
    prompts = [[[torch.randn(1, 77, width), {"pooled_output": torch.randn(1, pooled)}]] for _ in range(2)]
    return compare(model, prompts, shape, 2, methods, rounds)


def import_seconds():
    """Median time of importing the pack's entry point in a fresh interpreter."""
    code = (
        "import sys, time, importlib; sys.path.insert(0, sys.argv[1]); started = time.perf_counter(); "
        "importlib.import_module(sys.argv[2]); print(time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", code, str(ROOT.parent), ROOT.name]
    times = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(5)]
    return round(statistics.median(times), 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    a = parser.parse_args()
    both = (OWN_RUN, SAME_LATENTS)
    measures = {
        "demo unet": lambda: demo("unet", [OWN_RUN], a.rounds),
        "demo mmdit": lambda: demo("mmdit", both, a.rounds),
        "SDXL, full size": lambda: full(comfy.supported_models.SDXL, full_size.SDXL, 2048, 1280, (1, 4, 32, 32), [OWN_RUN], a.rounds // 2),
        "SD3-medium, full size": lambda: full(
            comfy.supported_models.SD3, full_size.SD3_MEDIUM, 4096, 2048, (1, 16, 32, 32), both, a.rounds // 2
        ),
    }
    result = {**environment(), "import_seconds": import_seconds(), "ratios": {}}
    for name, measure in measures.items():
        result["ratios"][name] = measure()
        print(name, result["ratios"][name], flush=True)
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
