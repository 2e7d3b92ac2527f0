"""Writes docs/lora.md from results: `python dev.py run benchmarks.lora_docs`

The results are those of benchmarks.lora, one file a model.
"""

import json
from pathlib import Path

import numpy as np

from ..localization.selection import interval
from .markdown import table

ROOT = Path(__file__).parents[1]
MODELS = {"unet": "demo U-Net", "mmdit": "demo MMDiT"}
ARMS = ("text layers", "all layers", "random others")


def load(model):
    return json.loads((ROOT / "benchmarks" / "results" / f"lora-{model}.json").read_text())


def pooled(result, arm, what):
    """A number of each picture, all seeds in a row."""
    return np.concatenate([found[arm][what] for found in result["seeds"].values()])


def shares(result, what):
    """Cells: per cent of pictures, with their interval."""
    cells = []
    for arm in ("without", *ARMS):
        mean, lower, upper = (100 * value for value in interval(pooled(result, arm, what)))
        cells.append(f"{mean:.0f} % ({lower:.0f} to {upper:.0f})")
    return cells


def means(result, what, unit, digits, factor=1.0):
    cells = ["-"]
    for arm in ARMS:
        mean, lower, upper = (factor * value for value in interval(pooled(result, arm, what)))
        cells.append(f"{mean:.{digits}f} ({lower:.{digits}f} to {upper:.{digits}f}){unit}")
    return cells


def bits(result, kind):
    return [f"{np.mean([found[arm]['open_bits'][kind] for found in result['seeds'].values()]):.2f}" for arm in ("without", *ARMS)]


def of_all(result, values):
    """Cells: each arm's number, and its share of all layers'."""
    return ["-", *(f"{text} ({number / values['all layers'][0]:.2f})" for number, text in (values[arm] for arm in ARMS))]


def quality(result):
    rows = [
        ["words read exactly", *shares(result, "exact")],
        ["F1 of their letters", *shares(result, "f1")],
        ["colours right", *shares(result, "colours")],
        ["shape right", *shares(result, "shape")],
        ["background against no LoRA", *means(result, "background_psnr", " dB", 1)],
        ["signs without a word against no LoRA, MSE x 1000", *means(result, "empty_mse", "", 2, 1000)],
        *([f"bits of {kind} left open", *bits(result, kind)] for kind in ("wall", "sign", "shape")),
    ]
    return table(["", "without", *ARMS], rows)


def costs(result):
    first = next(iter(result["seeds"].values()))
    size = {arm: (first[arm]["file_bytes"], f"{first[arm]['file_bytes'] / 1024:.0f} KB") for arm in ARMS}
    state = {arm: (first[arm]["numbers"], f"{8 * first[arm]['numbers'] / 1024:.0f} KB") for arm in ARMS}
    time = {arm: (row["seconds_a_step"], f"{row['seconds_a_step']:.3f} s") for arm, row in result["cost"].items()}
    peak = {arm: (row["peak_bytes"], f"{row['peak_bytes'] / 2**20:.0f} MB") for arm, row in result["cost"].items()}
    rows = [
        ["file", *of_all(result, size)[1:]],
        ["optimizer's two moments", *of_all(result, state)[1:]],
        ["a step", *of_all(result, time)[1:]],
        ["memory of a step at its peak, beside the weights", *of_all(result, peak)[1:]],
    ]
    return table(["", *ARMS], rows)


def layers(result):
    first = next(iter(result["seeds"].values()))
    text = ", ".join(map(str, first["text layers"]["layers"]))
    others = "; ".join(", ".join(map(str, found["random others"]["layers"])) for found in result["seeds"].values())
    return f"text layers {text} of {len(first['all layers']['layers'])}; random others, a seed each: {others}"


def difference(result):
    """Words read exactly, text layers minus all layers, on the same prompts and noise."""
    mean, lower, upper = (100 * v for v in interval(pooled(result, "text layers", "exact") - pooled(result, "all layers", "exact")))
    return f"{mean:+.0f} points ({lower:+.0f} to {upper:+.0f})"
