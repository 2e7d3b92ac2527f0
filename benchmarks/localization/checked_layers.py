"""Does Check Text Layers say what is true? `python dev.py run benchmarks.localization.checked_layers --out FILE.json`

Of each demo model as it ships, with a LoRA on all text layers, and with all weights trained further (both on signs in another lettering):
the known text layers, and layers that are not these, each checked --draws times with other held-out words and another seed. Beside the
verdicts stands what is true: of further held-out words, how many the layers draw in finished pictures of those that all layers draw, read
by EasyOCR.

And the rule by itself: simulated checks through the code that decides, by how many of a model's words the layers carry.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import comfy.sd
import comfy.utils
import numpy as np
import torch
from safetensors.torch import save_file

from ...demo import comfy_model, pictures, signs
from ...demo.text_model import tokenize
from ...demo.text_set import text_set
from ...demo.train import EMPTY_PROMPT, TextToImage, flow_loss, word_list
from ...localization.check import CARRIED, HOLD, MISSING, MOST_PAIRS, NOT, PAIRS, PARTLY, UNTOLD, Word, check, decide
from ...localization.drawing import Drawing
from ...localization.sweep import Sweep
from ...lora.train import Settings, train
from ...patching import models
from ...scoring.ocr import engine
from ..record import environment
from .searches import paired, setting

CHECKED = {"steps": 10, "rows": 6}
OTHER_LETTERING = signs.Lettering("bold oblique", (150, 20, 40))
FURTHER, FURTHER_BATCH, FURTHER_RATE = 80, 8, 3e-4
KNOWN = {"unet": (4, 5, 7), "mmdit": (0, 1, 2)}


def new_signs(count, seed):
    """(pictures, captions) in the other lettering, with words that the demo models were trained on."""
    words = random.Random(seed).sample(sorted(word_list("train")), count)
    return text_set(words, count, seed, lettering=OTHER_LETTERING)


def with_lora(name):
    model, clip, vae = comfy_model.load(name)
    drawn, captions = new_signs(64, 1)
    latents, prompts = vae.encode(torch.from_numpy(drawn).float() / 255), [pictures.encode(clip, [caption]) for caption in captions]
    everything = models.written(model, f"0-{len(models.layer_names(model)) - 1}")
    trained = train(model, list(latents), prompts, everything, Settings(rank=8, learning_rate=2e-3, steps=FURTHER, batch=FURTHER_BATCH))
    return comfy.sd.load_lora_for_models(model, None, trained.tensors, 1.0, 0)[0], clip, vae


def trained_further(name, folder):
    """All weights, as demo.train trains them but for the optimizer."""
    file = folder / f"{name}.safetensors"
    if not file.exists():
        from ...demo.architecture import fold

        torch.manual_seed(0)
        trained = TextToImage(name)
        trained.load_state_dict({k: v.float() for k, v in comfy.utils.load_torch_file(str(comfy_model.WEIGHTS / file.name)).items()})
        optimizer, rng = torch.optim.AdamW(trained.parameters(), lr=FURTHER_RATE), np.random.default_rng(2)
        for step in range(FURTHER):
            drawn, captions = new_signs(FURTHER_BATCH, 100 + step)
            ids = torch.tensor([tokenize("" if rng.random() < EMPTY_PROMPT else caption) for caption in captions])
            flow_loss(trained, fold(torch.from_numpy(drawn)), ids, torch.Generator().manual_seed(step), torch.device("cpu")).backward()
            torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        save_file({k: v.half().contiguous() for k, v in trained.state_dict().items()}, file)
    return comfy_model.from_state_dict(name, comfy.utils.load_torch_file(str(file)))


def sets(name, layers):
    """{what they are: numbers}"""
    known = KNOWN[name]
    other = KNOWN["mmdit" if name == "unet" else "unet"]
    return {
        "its text layers": known,
        "two of the three": known[:2],
        "moved by one": tuple(layer + 1 for layer in known),
        "the other model's": other,
        "all others": tuple(layer for layer in range(layers) if layer not in known),
    }


def checks(loaded, layers, draws, seed, ocr):
    """Verdicts and what they rest on, of draws with words of their own."""
    words = sorted(word_list("held_out"))
    random.Random(seed).shuffle(words)
    found = []
    for number in range(draws):
        pairs = paired(words, 2 * PAIRS)
        used = {word for pair in pairs for word in (pair.source, pair.target)}
        words = [word for word in words if word not in used]
        drawing = Drawing(*loaded, pairs, replace(setting(1000 * seed + 100 * number, CHECKED["rows"]), steps=CHECKED["steps"]))
        checked = check(Sweep(drawing, ocr, None), layers)
        found.append({"verdict": checked.verdict, "why": checked.why, "calls": checked.calls, "carried": sum(checked.carried),
                      "wholly": sum(checked.wholly), "of": len(checked.layers), "words": [vars(word) for word in checked.words],
                      "median": round(float(np.median(checked.layers)), 4) if checked.layers else None})  # fmt: skip
    return found


def truth(loaded, candidates, pairs, seed, ocr):
    """{layers: [read, of those that all layers draw]} in finished pictures."""
    words = sorted(word_list("held_out"))
    random.Random(seed + 500).shuffle(words)
    sweep = Sweep(Drawing(*loaded, paired(words, pairs), setting(1000 * seed + 999_000, 16)), ocr, None)
    read = sweep.readings([sweep.layers, *candidates], range(pairs))
    legible = [n for n, reading in enumerate(read[sweep.layers]) if reading.exact]
    return {c: [sum(read[c][n].exact for n in legible), len(legible)] for c in candidates}


def simulated(runs, seed):
    """[{"pairs", "carried", "wholly", "runs", verdict: share}]: carried, wholly: shares of a model's words."""
    rng, rows = np.random.default_rng(seed), []
    word = (Word("HOTEL", True, True, ("HOTEL", "HOTEL")),)
    missed = (Word("HOTEL", True, False, ("HOTEL", "CAFE")),)
    shares = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
    for pairs, (carried, wholly) in product((PAIRS, 12, MOST_PAIRS), product(shares, shares)):
        if wholly > carried:
            continue
        verdicts = Counter()
        for _ in range(runs):
            at = rng.random(pairs)
            ours = np.where(at < wholly, 1 - MISSING / 2, np.where(at < carried, (CARRIED + 1 - MISSING) / 2, 0.1))
            # A picture is read where the layers carry its word.
            verdicts[decide(tuple(ours), (0.2,) * pairs, (0.0,) * pairs, word if rng.random() < carried else missed)[0]] += 1
        rows.append(
            {"pairs": pairs, "carried": carried, "wholly": wholly, "runs": runs} | {v: verdicts[v] for v in (HOLD, PARTLY, NOT, UNTOLD)}
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=comfy_model.MODELS, default=list(comfy_model.MODELS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=10, help="on which it is seen what is true")
    parser.add_argument("--runs", type=int, default=400, help="simulated checks of each row")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the models that are trained further are kept"
    )
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    result = {
        **environment(),
        "draws": a.draws,
        "pairs": a.pairs,
        "seed": a.seed,
        **CHECKED,
        "rows": [],
        "simulated": simulated(a.runs, a.seed),
    }
    a.out.write_text(json.dumps(result, indent=1) + "\n")
    ocr, judge = engine("RapidOCR"), engine("EasyOCR")
    for name in a.models:
        made = {"as it ships": lambda name=name: comfy_model.load(name), "with a LoRA": lambda name=name: with_lora(name),
                "trained further": lambda name=name: trained_further(name, a.folder)}  # fmt: skip
        for what, load in made.items():
            loaded = load()
            asked = sets(name, len(models.layer_names(loaded[0])))
            if what != "as it ships":
                asked = {key: asked[key] for key in ("its text layers", "moved by one")}
            true = truth(loaded, list(asked.values()), a.pairs, a.seed, judge)
            for key, layers in asked.items():
                drawn = checks(loaded, layers, a.draws, a.seed, ocr)
                verdicts = Counter(one["verdict"] for one in drawn)
                row = {"model": name, "made": what, "set": key, "layers": layers, "true": true[layers], "verdicts": verdicts}
                result["rows"].append({**row, "checks": drawn})
                print(name, what, key, layers, true[layers], dict(verdicts), max(one["calls"] for one in drawn), flush=True)
                a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
