"""How stable an answer is: `python dev.py run benchmarks.localization.draws --model unet --draws 20 --out FILE.json`

As many searches of a demo model, each with pairs of words of its own, another seed, another template, other steps and another guidance.
Written are the draws and, for each layer, in how many of them it was chosen, with its exact 95 % interval. The demo models draw pictures of
one size, so that the size does not vary.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ...demo import comfy_model, signs
from ...demo.train import word_list
from ...localization.drawing import Drawing
from ...localization.localize import localize
from ...localization.strategies import STRATEGIES
from ...localization.sweep import Sweep
from ...scoring.intervals import rate
from ...scoring.ocr import ENGINES, engine
from ..record import environment
from .searches import paired, setting

STEPS, CFG = (8, 10, 12, 16, 20), (2.0, 3.0, 4.0, 5.0)
PAIRS = 24  # of one draw: as many as a search that is not tested looks at


def settings(draws, seed, rows):
    """[(pairs, Setting)]. No two draws share a pair; words come again where there are no more of them."""
    rng, words, found = random.Random(seed), [], []
    for number in range(draws):
        if len(words) < 4 * PAIRS:
            words = sorted(word_list("held_out"))
            rng.shuffle(words)
        pairs = paired(words, PAIRS)
        used = {word for pair in pairs for word in (pair.source, pair.target)}
        words = [word for word in words if word not in used]
        wall, sign = rng.sample(list(signs.PALETTE), 2)
        template = signs.Sign(None, sign, wall, rng.choice(signs.SHAPES)).prompt() + ' that says "{word}"'
        steps, cfg = rng.choice(STEPS), rng.choice(CFG)
        found.append((pairs, replace(setting(seed * 1000 + number * PAIRS, rows), template=template, steps=steps, cfg=cfg)))
    return found


def draw(loaded, pairs, asked, strategy, ocr):
    """One search, with an empty folder of cells."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(Drawing(*loaded, pairs, asked), ocr, Path(folder))
        about = {"template": asked.template, "steps": asked.steps, "cfg": asked.cfg, "seed": asked.seed}
        try:
            found = localize(loaded[0], sweep, strategy)
        finally:
            sweep.close()
    return {**about, "layers": list(found.selection.layers), "localized": found.localized, "doubts": list(found.selection.doubts),
            "model_calls": found.model_calls, "seconds": round(found.seconds, 1)}  # fmt: skip


def frequencies(layers, draws):
    """{layer: [share of the draws that chose it, lower, upper, draws]}"""
    counts = Counter(layer for drawn in draws for layer in drawn["layers"])
    return {layer: [*(round(x, 3) for x in rate(counts[layer], len(draws))), counts[layer]] for layer in range(layers)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=comfy_model.MODELS, required=True)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--strategy", choices=STRATEGIES, default="gradients")
    parser.add_argument("--ocr", choices=list(ENGINES), default="RapidOCR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=16, help="the most pictures in one batch")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    loaded, ocr = comfy_model.load(a.model), engine(a.ocr)
    result = {**environment(), "model": a.model, "strategy": a.strategy, "seed": a.seed, "ocr": a.ocr, "pairs": PAIRS, "draws": []}
    layers = len(Drawing(*loaded, *settings(1, a.seed, a.rows)[0]).names)
    for pairs, asked in settings(a.draws, a.seed, a.rows):
        result["draws"].append(draw(loaded, pairs, asked, a.strategy, ocr))
        result["frequency"] = frequencies(layers, result["draws"])
        sets = Counter(" ".join(map(str, drawn["layers"])) for drawn in result["draws"])
        result["sets"] = dict(sets.most_common())
        print(result["draws"][-1], flush=True)
        a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
