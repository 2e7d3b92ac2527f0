"""Localization on a demo model, each strategy beside the paper's procedure:

`python dev.py run benchmarks.localization --model unet --strategy all --pairs FILE.csv --seed 0 --out FILE.json`

The paper's procedure here: layer after layer, pair after pair, one picture at a time, read by EasyOCR; where the text evolves with
the picture each patched picture needs a run of the target as well. A call is one evaluation of the model for one picture: a batch of
n pictures with both CFG halves counts 2 n, a backward pass 2 (3 where blocks are computed again). Without --pairs, --count pairs of
held-out words; --verify other held-out pairs check the layers.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ...demo import architecture, comfy_model, pictures, signs
from ...demo.train import word_list
from ...localization.drawing import Drawing, Setting
from ...localization.localize import PROOFS, QUICK, localize
from ...localization.pairs import WordPair, parse_pairs
from ...localization.spread import RaySweep
from ...localization.strategies import STRATEGIES
from ...localization.sweep import Sweep
from ...patching import models
from ...patching.comfy import add_counting_wrapper
from ...patching.patch import patch_prompt
from ...scoring import text
from ...scoring.compare import capitals
from ...scoring.image import mse
from ...scoring.intervals import interval
from ...scoring.ocr import ENGINES, engine
from ..record import environment

TEMPLATE = 'a white square sign on a blue wall that says "{word}"'
_ENLARGE = 4


def held_out_pairs(count, seed):
    words = sorted(word_list("held_out"))
    random.Random(seed).shuffle(words)
    return paired(words, count)


def paired(words, count):
    """Pairs of these words, from the last one on, every second pair of equal length, no word twice."""
    words, found = list(words), []
    while len(found) < count:
        source = words.pop()
        equal = len(found) % 2 == 0
        target = next(word for word in reversed(words) if (len(word) == len(source)) == equal)
        words.remove(target)
        found.append(WordPair(source, target))
    return found


def setting(seed, rows):
    latent = torch.zeros(1, architecture.LATENT_CHANNELS, signs.HEIGHT // architecture.FOLD, signs.WIDTH // architecture.FOLD)
    return Setting(TEMPLATE, "", {"samples": latent}, seed, pictures.STEPS, pictures.CFG, pictures.SAMPLER, pictures.SCHEDULER, rows)


def paper(name, pairs, seed):
    """{"calls", "seconds", "f1" and "mse" of each layer, "f1_target", "f1_source"} of the paper's procedure."""
    model, clip, vae = comfy_model.load(name)
    calls = 0

    def count(rows):
        nonlocal calls
        calls += rows

    add_counting_wrapper(model, count)
    ocr = engine("EasyOCR")
    started = time.perf_counter()

    def prompt(word):
        return pictures.encode(clip, [TEMPLATE.replace("{word}", word)])

    def draw(number, word, patched=model):
        return pictures.sample(patched, clip, vae, prompt(word), seed + number, 1)[0]

    def f1(picture, word):
        return text.f1(capitals(ocr.read(picture, _ENLARGE)), capitals(word))

    sources = [draw(n, pair.source) for n, pair in enumerate(pairs)]
    target = np.mean([f1(draw(n, pair.target), pair.target) for n, pair in enumerate(pairs)])
    source = np.mean([f1(picture, pair.target) for picture, pair in zip(sources, pairs, strict=True)])
    scores, errors = [], []
    for layer in range(len(models.layer_names(model))):
        chosen = models.written(model, str(layer))
        edits = [draw(n, pair.source, patch_prompt(model, chosen, prompt(pair.target))) for n, pair in enumerate(pairs)]
        scores.append(float(np.mean([f1(edit, pair.target) for edit, pair in zip(edits, pairs, strict=True)])))
        errors.append(float(np.mean([mse(edit, before) for edit, before in zip(edits, sources, strict=True)])))
        print(f"paper, layer {layer}: F1 {scores[-1]:.3f}", flush=True)
    seconds = time.perf_counter() - started
    return {"calls": calls, "seconds": round(seconds, 1), "f1": scores, "mse": errors, "f1_target": target, "f1_source": source,
            "best_single": int(np.argmax(scores)), "engine": ocr.name}  # fmt: skip


def search(name, strategy, pairs, seed, ocr, rows, workers=0, ranked=0, proof=QUICK):
    """One strategy with an empty folder of cells. workers: as many Ray workers rank; ranked: pairs of the exhaustive one's ranking."""
    model, clip, vae = comfy_model.load(name)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        drawing = Drawing(model, clip, vae, pairs, setting(seed, rows))
        judge = Sweep(drawing, engine("EasyOCR"), Path(folder))
        if ranked and strategy == "exhaustive":
            drawing = Drawing(model, clip, vae, pairs[:ranked], setting(seed, rows))
        where = (drawing, engine(ocr), Path(folder))
        sweep = RaySweep(*where, load="demo.comfy_model:load", arguments=(name,), workers=workers) if workers else Sweep(*where)
        found = localize(model, sweep, strategy, judge, proof)
        seconds = time.perf_counter() - started
        for one in (sweep, judge):
            one.close()
    return {
        "layers": list(found.selection.layers),
        "papers_choice": found.ranking.papers_choice(),
        "scores": {layer: [round(x, 4) for x in interval(found.ranking.scores[layer])] for layer in range(len(found.names))},
        "model_calls": found.model_calls,
        "seconds": round(seconds, 1),
        "verdicts": {" ".join(map(str, layers)): [v.good, v.counted, v.decided] for layers, v in found.selection.verdicts.items()},
        "doubts": list(found.selection.doubts),
        "localized": found.localized,
        "curve": found.curve,
        "sure": found.sure,
        "test": found.test and vars(found.test),
        "evidence": found.evidence and vars(found.evidence),
        "proof_calls": found.proof_calls,
        "note": found.ranking.note,
    }


def verify(name, layers, pairs, seed, rows):
    """Finished pictures of other pairs, read by EasyOCR: exact readings of the target's word, with 95 % intervals."""
    model, clip, vae = comfy_model.load(name)
    with tempfile.TemporaryDirectory() as folder:
        drawing = Drawing(model, clip, vae, pairs, setting(seed + 1000, rows))
        sweep = Sweep(drawing, engine("EasyOCR"), Path(folder))
        others = [layer for layer in sweep.layers if layer not in layers]
        drawn = tuple(sorted(random.Random(seed).sample(others, min(len(layers), len(others)))))
        sets = {"chosen": tuple(layers), "all": sweep.layers, "random": drawn}
        read = sweep.readings(sets.values(), range(len(pairs)))
        sweep.close()
    result = {kind: [round(x, 3) for x in interval([r.exact for r in read[candidate]])] for kind, candidate in sets.items()}
    difference = [a.exact - b.exact for a, b in zip(read[sets["chosen"]], read[sets["all"]], strict=True)]
    return {**result, "random_layers": list(sets["random"]), "chosen_minus_all": [round(x, 3) for x in interval(difference, -1.0)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=comfy_model.MODELS, required=True)
    parser.add_argument("--strategy", choices=[*STRATEGIES, "all"], default="all")
    parser.add_argument("--pairs", type=Path, help="a CSV file, source,target a line")
    parser.add_argument("--count", type=int, default=100, help="how many pairs of held-out words, without --pairs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ocr", choices=list(ENGINES), default="RapidOCR", help="the engine that ranks; EasyOCR selects")
    parser.add_argument("--rows", type=int, default=16, help="the most pictures in one batch")
    parser.add_argument("--verify", type=int, default=100, help="other held-out pairs to check the layers on; 0 for none")
    parser.add_argument("--ranked", type=int, default=0, help="pairs on which the exhaustive strategy ranks; 0 for all")
    parser.add_argument("--workers", type=int, default=0, help="spread the strategies over this many Ray workers")
    parser.add_argument("--proof", choices=PROOFS, default=QUICK, help="what is tested of each answer, counted apart from its search")
    parser.add_argument("--no-paper", action="store_true", help="leave out the paper's procedure")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    # The pairs that check the answer share no word with those that found it.
    held_out = held_out_pairs(a.count + a.verify, a.seed)
    pairs, others = (parse_pairs(a.pairs.read_text("utf-8-sig")) if a.pairs else held_out[: a.count]), held_out[a.count :]
    engine(a.ocr), engine("EasyOCR")  # loading them is no part of any procedure
    search(a.model, "gradients", pairs[:4], a.seed, a.ocr, a.rows)  # nor is what happens once a process
    result = {**environment(), "model": a.model, "seed": a.seed, "pairs": len(pairs), "ocr": a.ocr, "template": TEMPLATE, "strategies": {}}
    for strategy in STRATEGIES if a.strategy == "all" else [a.strategy]:
        found = result["strategies"][strategy] = search(a.model, strategy, pairs, a.seed, a.ocr, a.rows, a.workers, a.ranked, a.proof)
        print(strategy, found["layers"], found["model_calls"], "calls", found["seconds"], "s", flush=True)
        a.out.write_text(json.dumps(result, indent=1) + "\n")
    if a.verify:
        chosen = {tuple(found["layers"]) for found in result["strategies"].values()}
        result["held_out"] = {" ".join(map(str, layers)): verify(a.model, layers, others, a.seed, a.rows) for layers in chosen}
        a.out.write_text(json.dumps(result, indent=1) + "\n")
    if not a.no_paper:
        done = result["paper"] = paper(a.model, pairs, a.seed)
        for found in result["strategies"].values():
            found |= {"paper_calls": done["calls"], "paper_seconds": done["seconds"]}
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
