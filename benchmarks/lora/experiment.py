"""Does a LoRA on the text layers improve drawn words and leave the rest alone? [Staniszewski et al., section 5.1]

`python dev.py run benchmarks.lora --task two_letters --model unet --out FILE.json`

A demo model draws some words badly: those of two letters, which it never saw, or, with --weights of benchmarks.lora.base, all words
(--task spelling). It gets LoRAs on its text layers, on all layers, and on as many random others: the same pictures, steps, rank and seed.
The pictures that they are trained on are of one kind, as people's are: white square signs on blue walls. Then each draws:

words       held-out words on signs of all kinds that the prompt describes: read by EasyOCR; colours and shape measured from pixels;
            the background against the picture that the model draws without the LoRA
empty       described signs without a word: against the picture without the LoRA
open        prompts that tell the word alone: how many bits of colours and shapes over seeds
known       of two_letters: held-out words of three to six letters, which the model draws well

Words, pictures and noise of a seed are the same for all. --words train draws words of the training list instead: for choosing settings.
Seeds that the file has are not run again: an interrupted run goes on, and more seeds can be added.
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise, product
from pathlib import Path

import comfy.sd
import comfy.utils
import numpy as np
import torch
from safetensors.torch import save

from ...demo import comfy_model, pictures, signs
from ...demo.text_set import text_set
from ...demo.train import word_list
from ...lora.train import Settings, train
from ...patching import models
from ...scoring import text
from ...scoring.compare import capitals
from ...scoring.image import mse, psnr
from ...scoring.ocr import engine
from ...testing.memory import peak_bytes
from ..editing.demo_quality import draw
from ..record import environment

TRAINING = {"sign": "white", "wall": "blue", "shape": "square"}
RANDOM_LETTERS = 0.5  # share of the training's words, as in the demo models' own training


def words_of(task, part):
    """part: "train" or "held_out", which have no word in common."""
    if task == "spelling":
        return word_list(part)
    pairs = ["".join(pair) for pair in product(signs.LETTERS, repeat=2)]
    shuffled = np.random.default_rng(0).permutation(pairs).tolist()
    return shuffled[:300] if part == "train" else shuffled[300:]


def training_set(task, clip, vae, count, seed, describe):
    """(latents, prompts). describe: captions tell colours and shape as well."""
    rng = np.random.default_rng((seed, 1))
    words = [str(word) for word in rng.choice(words_of(task, "train"), count)]
    if task == "spelling":
        held_out = set(word_list("held_out"))
        for n in range(int(count * RANDOM_LETTERS)):
            word = "".join(rng.choice(list(signs.LETTERS), len(words[n])))
            words[n] = word if word not in held_out else words[n]
    drawn, captions = text_set(words, count, seed, **TRAINING, describe=describe)
    latents = vae.encode(torch.from_numpy(drawn).float() / 255)
    return list(latents), [pictures.encode(clip, [caption]) for caption in captions]


def evaluation(task, part, count, others, seed):
    """{kind: signs}"""
    rng = np.random.default_rng((seed, 2))
    chosen = [str(word) for word in rng.choice(words_of(task, part), count + others, replace=False)]
    described = [signs.random_sign(rng, word) for word in chosen]
    known = [signs.random_sign(rng, str(word)) for word in rng.choice(word_list("held_out"), others, replace=False)]
    return {
        **({"known": known} if task == "two_letters" else {}),
        "words": described[:count],
        "empty": [signs.Sign(None, sign.sign, sign.wall, sign.shape) for sign in described[count:]],
        "open": [signs.Sign(sign.word, None, None, None) for sign in described[count:]],
    }


def bits(values):
    """Entropy of what was seen."""
    shares = np.array(list(Counter(values).values())) / len(values)
    return float(-(shares * np.log2(shares)).sum())


def measure(drawn, before, shown, ocr):
    """Numbers of each picture, and the bits of what the open prompts leave to the model. before: pictures without the LoRA."""
    read = [capitals(ocr.read(picture, 4)) for picture in drawn["words"]]
    wanted = [sign.word for sign in shown["words"]]
    known = [
        capitals(ocr.read(picture, 4)) == sign.word for picture, sign in zip(drawn.get("known", ()), shown.get("known", ()), strict=True)
    ]
    seen = [(*signs.read_colours(picture), signs.read_shape(picture)) for picture in drawn["open"]]
    return {
        "exact": [int(r == w) for r, w in zip(read, wanted, strict=True)],
        "f1": [round(text.f1(r, w), 4) for r, w in zip(read, wanted, strict=True)],
        **({"known_exact": list(map(int, known))} if known else {}),
        "colours": [int(signs.read_colours(p) == (s.wall, s.sign)) for p, s in zip(drawn["words"], shown["words"], strict=True)],
        "shape": [int(signs.read_shape(p) == s.shape) for p, s in zip(drawn["words"], shown["words"], strict=True)],
        "background_psnr": [
            min(psnr(a, b, [signs.text_box(s.word)]), 99.0) for a, b, s in zip(drawn["words"], before["words"], shown["words"], strict=True)
        ],
        "empty_mse": [mse(a, b) for a, b in zip(drawn["empty"], before["empty"], strict=True)],
        "open_bits": {kind: bits(values) for kind, values in zip(("wall", "sign", "shape"), zip(*seen, strict=True), strict=True)},
        "open_like_training": sum(one == (TRAINING["wall"], TRAINING["sign"], TRAINING["shape"]) for one in seen) / len(seen),
    }


def cost(model, latents, prompts, settings, rounds=5, steps=4):
    """{arm: {"seconds_a_step", "peak_bytes"}}. Median of several rounds, in which the arms take turns; the first step of each is not
    counted, and the memory is what a step takes beside the model's weights."""
    found, times = {}, {}
    for number in range(rounds):
        for arm, layers in arms(model, settings.seed).items():
            chosen = written(model, layers)
            ticks = []
            train(
                model, latents, prompts, chosen, replace(settings, steps=steps + 1), tell=lambda *_, t=ticks: t.append(time.perf_counter())
            )
            times.setdefault(arm, []).extend(b - a for a, b in pairwise(ticks))
            if not number:
                few = (model, latents[: settings.batch], prompts[: settings.batch], chosen, replace(settings, steps=2))
                found[arm] = {"peak_bytes": peak_bytes(lambda few=few: train(*few))[1]}
    return {arm: {"seconds_a_step": round(float(np.median(times[arm])), 4), **row} for arm, row in found.items()}


def written(model, layers):
    return models.written(model, ", ".join(map(str, layers)))


def arms(model, seed):
    """{name: numbers of the layers}"""
    names = models.layer_names(model)
    chosen = [names.index(name) for name in models.preset(model).names]
    others = [n for n in range(len(names)) if n not in chosen]
    picked = np.random.default_rng((seed, 3)).choice(others, len(chosen), replace=False)
    return {"text layers": chosen, "all layers": list(range(len(names))), "random others": sorted(int(n) for n in picked)}


def going_on(before, new, settings):
    """The result that a file holds, to add seeds to; "later" has the commit of those that another one made, and their settings where there
    are more by now. Raises ValueError when one that it knows was another."""
    free = {"seed": 0, "checkpointing": None}  # the other one changes no number
    asked = {**{k: new[k] for k in ("model", "words", "pictures")}, **asdict(settings), **free}
    was = {**before, **before["settings"], **free}
    differ = [f"{k} {was[k]} (now {v})" for k, v in asked.items() if k in was and was[k] != v]
    if differ:
        raise ValueError(f"The file holds runs of {', '.join(differ)}: give another one with --out.")
    return {"later": {}, **before}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=comfy_model.MODELS, required=True)
    parser.add_argument("--task", choices=("two_letters", "spelling"), required=True)
    parser.add_argument("--weights", type=Path, help="of the demo model, if not those that ship")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--words", choices=("held_out", "train"), default="held_out")
    parser.add_argument("--seeds", type=int, nargs="+", default=(21, 22, 23))
    parser.add_argument("--pictures", type=int, default=1000, help="to train on")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--count", type=int, default=100, help="words to draw")
    parser.add_argument("--others", type=int, default=50, help="pictures of each other kind")
    parser.add_argument("--word-captions", action="store_true", help="captions of the training tell the word alone")
    a = parser.parse_args()
    ocr = engine("EasyOCR")
    weights = a.weights or comfy_model.WEIGHTS / f"{a.model}.safetensors"
    loaded = comfy_model.from_state_dict(a.model, comfy.utils.load_torch_file(str(weights)))
    model, clip, vae = loaded
    settings = Settings(rank=a.rank, learning_rate=a.learning_rate, steps=a.steps, batch=a.batch)
    result = {**environment(), "model": a.model, "task": a.task, "words": a.words, "pictures": a.pictures, "seeds": {}, "later": {}}
    if a.out.exists():
        result = going_on(json.loads(a.out.read_text("utf-8")), result, settings)
    for seed in a.seeds:
        if str(seed) in result["seeds"]:
            continue
        settings = replace(settings, seed=seed)
        shown = evaluation(a.task, a.words, a.count, a.others, seed)
        latents, prompts = training_set(a.task, clip, vae, a.pictures, seed, not a.word_captions)
        before = {kind: draw(*loaded, what, seed * 1000) for kind, what in shown.items()}
        found = {"without": measure(before, before, shown, ocr)}
        result.setdefault("settings", asdict(settings))
        for arm, layers in arms(model, seed).items():
            trained = train(model, latents, prompts, written(model, layers), settings)
            with_lora = comfy.sd.load_lora_for_models(model, None, trained.tensors, 1.0, 0)[0]
            drawn = {kind: draw(with_lora, clip, vae, what, seed * 1000) for kind, what in shown.items()}
            found[arm] = {
                "layers": layers,
                "file_bytes": len(save(trained.tensors)),
                "numbers": sum(t.numel() for t in trained.tensors.values()),
                "loss": round(float(np.mean(trained.losses[-100:])), 5),
                **measure(drawn, before, shown, ocr),
            }
        for arm, m in found.items():
            numbers = {k: round(float(np.mean(m[k])), 4) for k in ("exact", "f1", "colours", "shape", "background_psnr", "empty_mse")}
            rest = {k: m.get(k) for k in ("open_bits", "open_like_training", "loss", "layers")}
            print(seed, arm, numbers, rest, flush=True)
        result["seeds"][str(seed)] = found
        if result["commit"] != (now := environment()["commit"]):
            result["later"][str(seed)] = {"commit": now, "settings": asdict(settings)}
        if not result.get("cost"):
            result["cost"] = cost(model, latents, prompts, settings)
        a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
