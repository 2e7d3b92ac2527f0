"""Writes docs/lora.md from results: `python dev.py run benchmarks.lora_docs`

The results are those of benchmarks.lora, one file a model, and of benchmarks.lora_size.
"""

import json
from pathlib import Path

import numpy as np

from ..localization.selection import interval
from .markdown import table

ROOT = Path(__file__).parents[1]
MODELS = {"unet": "The demo U-Net", "mmdit": "The demo MMDiT"}
TASKS = ("two_letters", "spelling")
ARMS = ("text layers", "all layers", "random others")


def load(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


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
        *([["words of three to six letters read exactly", *shares(result, "known_exact")]] if result["task"] == "two_letters" else []),
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


def full_size():
    """At full size: a sentence."""
    parts = [f"{name} {n['text layers']:,} of {n['all layers']:,} numbers (1/{n['all layers'] / n['text layers']:.0f})"
             for name, n in load("lora_size").items()]  # fmt: skip
    return f"At full size, rank 4, against one on all layers that attend to the text:\n{'; '.join(parts)}."


def findings(task, heading):
    parts = []
    for model, name in MODELS.items():
        result = load(f"lora-{task}-{model}")
        words = len(next(iter(result["seeds"].values()))["without"]["exact"])
        about = (
            f"{words} words a seed; {layers(result)}. Text layers minus all layers, on the same prompts and noise: {difference(result)}."
        )
        parts.append(f"{heading} {name}\n\n{about}\n\n{quality(result)}")
    return "\n\n".join(parts)


def text():
    result = load("lora-two_letters-unet")
    settings, seeds = result["settings"], ", ".join(result["seeds"])
    price = "\n\n".join(f"### {name}\n\n{costs(load(f'lora-two_letters-{model}'))}" for model, name in MODELS.items())
    return f"""# LoRAs on the text layers, measured

Generated by `python dev.py run benchmarks.lora_docs` from `benchmarks/results`. Words that no model was trained on, seeds {seeds}, read by
EasyOCR; colours and shapes measured from pixels; 95 % bootstrap intervals over pictures.

## The question

The paper fine-tunes SDXL and Stable Diffusion 3 on their text layers alone: drawn text gets better, and the rest of the model stays as it
was, which a LoRA on all layers does not leave in peace. Is it so on the demo models?

**The LoRAs** are on the text layers, on all layers, and on as many random others: rank {settings["rank"]}, {settings["steps"]} steps of
{settings["batch"]} pictures, learning rate {settings["learning_rate"]:g}, the same {result["pictures"]:,} pictures and seeds. The pictures
have right captions and are all of one kind, as people's are: white square signs on blue walls. Settings were chosen on the second task, on
words of the training list, and taken for the first as they were.

**Harm** is what happens to other signs: the background of the same prompts, signs without a word, and how many bits of colour and shape
stay open where a prompt names none.

In short: text gets as good as with all layers in three of four experiments (the MMDiT's spelling stays a few points behind), random
layers do next to nothing for it, and on the U-Net the rest changes less. On the MMDiT the harm is the same as with all layers: its text
layers are the first ones and feed all others.

## Words of two letters

The models that ship never saw a word of fewer than three letters, and draw three. Trained are 300 pairs of letters, drawn are others.
Words of three to six letters are not in this training, and the MMDiT forgets how to draw them, on whichever layers the LoRA is that learns
the short ones: a training set should hold what must stay.

{findings("two_letters", "###")}

## Spelling

The base spells badly (`benchmarks/lora_base.py`): a model that ships, with all weights of its diffusion model trained for 300 more steps
on captions in which A and E, I and O, N and S, R and T stand for each other half of the time. It draws clear letters and takes the wrong
ones, which is what large models get wrong.

{findings("spelling", "###")}

## What it costs

In parentheses the share of all layers. Arms in turns, one thread.

{price}

Targets were: file at most 1/10 of all layers', a step and its memory at most 0.8, text not worse, harm lower. The file cannot be a tenth
here, for three of nine and of eight layers are text layers.
{full_size()}
Where the text layers come early, as in the MMDiT, nearly all of the model lies above them and must be computed backwards.

```
python dev.py run benchmarks.lora --task two_letters --count 75 --others 25 --model unet --out FILE.json
python dev.py run benchmarks.lora_base unet --out unet.safetensors
python dev.py run benchmarks.lora --task spelling --model unet --weights unet.safetensors --out FILE.json
python dev.py run benchmarks.lora_size --out benchmarks/results/lora_size.json
```

and likewise for `mmdit`; the files are `benchmarks/results/lora-TASK-MODEL.json`.

## What else was tried

Bases after too short a training (the U-Net after 2,500 steps, the MMDiT after 1,200) draw the right letters in a bad shape. No LoRA mends
that in 600 steps at rank 4, 50 words of the training list: the U-Net's exact readings go from 12 % to 10 % (text layers), 18 % (all layers)
and 10 % (random others), the MMDiT's stay at none. The shape of letters is not in the attention to the text.

Captions that tell the word alone, `a sign that says "BOX"`, teach every LoRA, the text layers' too, to draw a white square sign on a blue
wall whenever nothing else is said: 22 to 25 of 25 pictures after 200 steps on the U-Net. Captions should say what is to be seen.
"""


def main():
    (ROOT / "docs" / "lora.md").write_text(text())


if __name__ == "__main__":
    main()
