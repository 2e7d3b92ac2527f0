"""Writes docs/lora.md from results: `python dev.py run benchmarks.lora.docs`

The results are those of benchmarks.lora, one file a model and task, of benchmarks.lora.size, benchmarks.lora.memory and
benchmarks.lora.kills.
"""

import textwrap
from pathlib import Path

import numpy as np

from ..markdown import table
from ..record import kept
from .by_seed import estimate

ROOT = Path(__file__).parents[2]
MODELS = {"unet": "The demo U-Net", "mmdit": "The demo MMDiT"}
TASKS = {"two_letters": "words of two letters", "spelling": "spelling"}
ARMS = ("text layers", "all layers", "random others")
GIB = 2**30

# name: (key of the result, unit, factor, digits)
MEASURES = {
    "words read exactly": ("exact", " %", 100, 0),
    "F1 of their letters": ("f1", " %", 100, 0),
    "words of three to six letters read exactly": ("known_exact", " %", 100, 0),
    "colours right": ("colours", " %", 100, 0),
    "shape right": ("shape", " %", 100, 0),
    "background against no LoRA": ("background_psnr", " dB", 1, 1),
    "signs without a word against no LoRA, MSE x 1000": ("empty_mse", "", 1000, 2),
    **{f"bits of {kind} left open": (f"bits of {kind}", "", 1, 2) for kind in ("wall", "sign", "shape")},
}
AGAINST_NONE = ("background_psnr", "empty_mse")  # measured against the model without a LoRA


def by_seed(result, arm, key):
    """One number a seed: the mean of its pictures. Bits are one number already."""
    found = [seed[arm] for seed in result["seeds"].values()]
    if key.startswith("bits of "):
        return [one["open_bits"][key.removeprefix("bits of ")] for one in found]
    return [float(np.mean(one[key])) for one in found]


def measures(result):
    has = next(iter(result["seeds"].values()))["without"]
    return {name: what for name, what in MEASURES.items() if what[0] != "known_exact" or "known_exact" in has}


def quality(result):
    def cell(arm, key, unit, factor, digits):
        if arm == "without" and key in AGAINST_NONE:
            return "-"
        return estimate([factor * value for value in by_seed(result, arm, key)]).text(unit, digits)

    rows = [[name, *(cell(arm, *what) for arm in ("without", *ARMS))] for name, what in measures(result).items()]
    return table(["", "without", *ARMS], rows)


def differences(other):
    """[(experiment, measure, Estimate, unit, digits)]: text layers minus `other`, seed for seed, without those that are zero in each."""
    found = []
    for task, experiment in TASKS.items():
        for model, name in MODELS.items():
            result = kept(f"lora-{task}-{model}")
            for measure, (key, unit, factor, digits) in measures(result).items():
                mine, others = (np.array(by_seed(result, arm, key)) for arm in ("text layers", other))
                if any(mine != others):
                    about = f"{name.removeprefix('The demo ')}, {experiment}"
                    found.append((about, measure, estimate(factor * (mine - others)), unit, max(1, digits)))
    return found


def compared(other):
    rows = [
        [about, measure, one.text(unit, digits, "+"), "yes" if one.holds else "no"]
        for about, measure, one, unit, digits in differences(other)
    ]
    return table(["", f"text layers minus {other}", "mean ± 95 % (each seed)", "holds"], rows)


def holding(other):
    """A list of those whose interval is without zero; marked are those that hold among so many comparisons, too (Bonferroni)."""
    found = differences(other)
    parts = [
        f"- {about}: {measure}, {one.mean:+.{digits}f} ± {one.half:.{digits}f}{unit}{' (*)' * (one.p * len(found) < 0.05)}"
        for about, measure, one, unit, digits in found
        if one.holds
    ]
    return "\n".join(parts) or "- none"


def of_all(values, text):
    """Cells: each arm's value as `text` writes it, and its share of all layers'."""
    return [f"{text(values[arm])} ({values[arm] / values['all layers']:.2f})" for arm in ARMS]


def costs(result):
    first, cost = next(iter(result["seeds"].values())), result["cost"]
    rows = [
        ["file", *of_all({arm: first[arm]["file_bytes"] for arm in ARMS}, lambda n: f"{n / 1024:.0f} KB")],
        ["optimizer's two moments", *of_all({arm: 8 * first[arm]["numbers"] for arm in ARMS}, lambda n: f"{n / 1024:.0f} KB")],
        ["a step", *of_all({arm: cost[arm]["seconds_a_step"] for arm in ARMS}, lambda n: f"{n:.3f} s")],
        ["a step's memory at its peak, beside the weights",
         *of_all({arm: cost[arm]["peak_bytes"] for arm in ARMS}, lambda n: f"{n / 2**20:.0f} MB")],
    ]  # fmt: skip
    return table(["", *ARMS], rows)


def layers(result):
    first = next(iter(result["seeds"].values()))
    text = ", ".join(map(str, first["text layers"]["layers"]))
    others = "; ".join(", ".join(map(str, found["random others"]["layers"])) for found in result["seeds"].values())
    return f"text layers {text} of {len(first['all layers']['layers'])}; random others, a seed each: {others}"


def full_size():
    """At full size: a sentence."""
    parts = [f"{name} {n['text layers']:,} of {n['all layers']:,} numbers (1/{n['all layers'] / n['text layers']:.0f})"
             for name, n in kept("lora_size").items()]  # fmt: skip
    return f"At full size, rank 4, against one on all layers that attend to the text:\n{'; '.join(parts)}."


def memory():
    """What a step takes of a card, and what it took while autograd kept the weights."""

    def sums(row):
        return [f"{(row['weights_bytes'] + row[how]) / GIB:.1f}" for how in ("kept", "plain", "checkpointing")]

    head = ["", "weights", "text layers", "weights alone", "all kept", "weights not kept", "and blocks computed again"]
    found = kept("lora_memory")["rows"]
    return table(head, [[row["model"], row["weights"], row["layers"], f"{row['weights_bytes'] / GIB:.1f}", *sums(row)] for row in found])


def kills():
    """How much a training loses that is ended in its middle: a paragraph and a table."""
    found = kept("lora_kills")
    said, trainings = found["summary"], found["trainings"]
    rows = [[kind, number, said["most_lost"][kind]] for kind, number in said["kills"].items()]
    equal = sum(one["equal"] for one in trainings)
    about = (
        f"{sum(said['kills'].values())} kills of {said['trainings']} trainings of {found['steps']} steps, saved every {found['every']}, "
        f"at random moments: {said['in_the_middle']} when some steps were done and some were to come. Each training went on until it was "
        f"done: {equal} of {len(trainings)} ended with the weights of a training that was never stopped, to the last bit (on a CPU)."
    )
    return f"{textwrap.fill(about, 139)}\n\n{table(['ended by', 'kills', 'most steps lost'], rows)}"


def seeds_of():
    """ "5 seeds (21, 22, ...) of words of two letters, 3 (21, ...) of spelling", of each model where they differ."""
    said = []
    for task, experiment in TASKS.items():
        found = {name: ", ".join(kept(f"lora-{task}-{model}")["seeds"]) for model, name in MODELS.items()}
        for seeds in dict.fromkeys(found.values()):
            of = [name for name, own in found.items() if own == seeds]
            where = "" if len(of) == len(MODELS) else f" ({', '.join(of)})"
            said.append(f"{seeds.count(',') + 1} {'' if said else 'seeds '}({seeds}) of {experiment}{where}")
    return ", ".join(said)


def ranges(task, arm):
    """Per cent of words read exactly in the worst and the best run of both models."""
    runs = [100 * value for model in MODELS for value in by_seed(kept(f"lora-{task}-{model}"), arm, "exact")]
    return f"{min(runs):.0f} to {max(runs):.0f} %"


def how_many(other):
    found = [one.holds for *_, one, _, _ in differences(other)]
    return f"{sum(found)} of {len(found)} differences hold"


def findings(task):
    parts = []
    for model, name in MODELS.items():
        result = kept(f"lora-{task}-{model}")
        words = len(next(iter(result["seeds"].values()))["without"]["exact"])
        about = f"{words} words a seed; {layers(result)}."
        parts.append(f"### {name}\n\n{about}\n\n{quality(result)}")
    return "\n\n".join(parts)


def text():
    result = kept("lora-two_letters-unet")
    settings = result["settings"]
    price = "\n\n".join(f"### {name}\n\n{costs(kept(f'lora-two_letters-{model}'))}" for model, name in MODELS.items())
    return f"""# LoRAs on the text layers, measured

Generated by `python dev.py run benchmarks.lora.docs` from `benchmarks/results`. Words that no model was trained on, read by EasyOCR;
colours and shapes measured from pixels. The unit is the seed, which has pictures, noise, first weights and random layers of its own:
numbers are means over seeds ± half of a 95 % interval (Student's t), with each seed's in parentheses. There are
{seeds_of()}: an interval over so few is wide, and what is not
shown to differ may differ all the same. Seeds 24 and 25 are of a later version (`later` in the files), which draws a training's noise
anew for each step, and clips gradients at a norm of 1, which those that were looked at, up to 0.2, did not reach. The model that they
spell with is a second run of `benchmarks.lora.base`, the MMDiT's in float32: without a LoRA, of seed 21's 100 words 29 (U-Net) and 26
(MMDiT) are read, with the first run's model 29 and 25.

## The question

The paper fine-tunes SDXL and Stable Diffusion 3 on their text layers alone: drawn text gets better, and the rest of the model stays as it
was, which a LoRA on all layers does not leave in peace. Is it so on the demo models?

**The LoRAs** are on the text layers, on all layers, and on as many random others: rank {settings["rank"]}, {settings["steps"]} steps of
{settings["batch"]} pictures, learning rate {settings["learning_rate"]:g}, the same {result["pictures"]:,} pictures and seeds. The pictures
have right captions and are all of one kind, as people's are: white square signs on blue walls. Settings were chosen on the second task, on
words of the training list, and taken for the first as they were.

**Harm** is what happens to other signs: the background of the same prompts, signs without a word, and how many bits of colour and shape
stay open where a prompt names none.

In short: run for run, a LoRA on the text layers draws {ranges("two_letters", "text layers")} of the words of two letters and
{ranges("spelling", "text layers")} of those in spelling, one on all layers {ranges("two_letters", "all layers")} and
{ranges("spelling", "all layers")}, and one on random layers anything from {ranges("two_letters", "random others")} and from
{ranges("spelling", "random others")}: which ones they are decides. Between text layers and all layers {how_many("all layers")}
(one of twenty would by chance, where there is nothing; marked are those that hold among so many, too, by Bonferroni's correction):

{holding("all layers")}

That text layers do less harm is shown where it is in this list, and nowhere else.

## Words of two letters

The models that ship never saw a word of fewer than three letters, and draw three. Trained are 300 pairs of letters, drawn are others.
Words of three to six letters are not in this training, and the MMDiT forgets how to draw them, on whichever layers the LoRA is that learns
the short ones: a training set should hold what must stay.

{findings("two_letters")}

## Spelling

The base spells badly (`benchmarks/lora/base.py`): a model that ships, with all weights of its diffusion model trained for 300 more steps
on captions in which A and E, I and O, N and S, R and T stand for each other half of the time. It draws clear letters and takes the wrong
ones, which is what large models get wrong.

{findings("spelling")}

## What holds

Text layers minus all layers, on the same prompts and noise; differences that are zero in every seed are left out.

{compared("all layers")}

Text layers minus random others:

{compared("random others")}

## What it costs

In parentheses the share of all layers. Arms in turns, one thread.

{price}

Targets were: file at most 1/10 of all layers', a step and its memory at most 0.8, text not worse, harm lower. The file cannot be a tenth
here, for three of nine and of eight layers are text layers.
{full_size()}
Where the text layers come early, as in the MMDiT, nearly all of the model lies above them and must be computed backwards.

## What a card needs

One picture of 1024 x 1024 a step, prompts of 77 tokens (SDXL) and 256, rank 4, computed in bf16: GiB of the weights and the most that a
step holds beside them. Counted on models of full size without memory, not measured on a card.

{memory()}

Training keeps no weight for the backward pass that was turned for its use (fp8 and other quantized types, weights outside of the card): it
turns it again. Latents and prompts wait in the computer's memory. Where the card has no room for all that the forward pass leaves behind,
blocks are computed again (gradient checkpointing), which the same count decides before the first step. ComfyUI is told to leave that room
when it loads the model, and what does not fit of the weights stays outside. Nothing below the lowest text layer is computed backwards.

## What an end in the middle costs

{kills()}

```
python dev.py run benchmarks.lora --task two_letters --seeds 21 22 23 24 25 --count 75 --others 25 --model unet --out FILE.json
python dev.py run benchmarks.lora.base unet --out unet.safetensors
python dev.py run benchmarks.lora --task spelling --seeds 21 22 23 24 25 --model unet --weights unet.safetensors --out FILE.json
python dev.py run benchmarks.lora.size --out benchmarks/results/lora_size.json
python dev.py run benchmarks.lora.memory --out benchmarks/results/lora_memory.json
python dev.py run benchmarks.lora.kills --kills 60 --out benchmarks/results/lora_kills.json
```

and likewise for `mmdit`; the files are `benchmarks/results/lora-TASK-MODEL.json`.

## What else was tried

Bases after too short a training (the U-Net after 2,500 steps, the MMDiT after 1,200) draw the right letters in a bad shape. No LoRA mended
that in 600 steps at rank 4, 50 words of the training list: the U-Net's exact readings went from 12 % to 10 % (text layers), 18 % (all
layers) and 10 % (random others), the MMDiT's stayed at none.

Captions that tell the word alone, `a sign that says "BOX"`, taught every LoRA, the text layers' too, to draw a white square sign on a blue
wall whenever nothing else is said: 22 to 25 of 25 pictures after 200 steps on that U-Net. Captions should say what is to be seen.

```
python dev.py run demo.train unet --out runs/unet --steps 2500 --six-letters 0.36
python dev.py run demo.train mmdit --out runs/mmdit --steps 1200 --six-letters 0.25
python dev.py run benchmarks.lora --task spelling --model unet --weights runs/unet/unet.safetensors --words train --seeds 1 --steps 600 \\
    --learning-rate 3e-3 --count 50 --others 25 --out FILE.json
```

and for captions of the word alone `--word-captions --steps 200 --learning-rate 1e-3`. (Of the U-Net's first training 1,200 steps were taken
as the beginning of a longer run, see demo/README.md.)
"""


def main():
    (ROOT / "docs" / "lora.md").write_text(text())


if __name__ == "__main__":
    main()
