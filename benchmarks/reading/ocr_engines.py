"""How well do the OCR engines read? `python dev.py run benchmarks.reading.ocr_engines --out FILE.json`

300 held-out words that the demo's renderer draws, and 300 that the demo models draw (half of them each): exact readings of each engine,
milliseconds a picture (median; the engines take turns picture by picture), and where they disagree.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from ...demo import comfy_model, signs
from ...scoring.compare import capitals
from ...scoring.ocr import ENGINES, engine
from ..editing.demo_quality import draw, held_out_signs
from ..record import environment

_ENLARGE = 4


def compare(words, images):
    """{"pictures", "exact" and "milliseconds" by engine, "one_reads": words that only one engine reads, "both_misread"}"""
    read, times = {name: [] for name in ENGINES}, {name: [] for name in ENGINES}
    for number, image in enumerate(images):
        for name in sorted(ENGINES, reverse=number % 2 == 1):
            started = time.perf_counter()
            read[name].append(capitals(engine(name).read(image, _ENLARGE)))
            times[name].append(time.perf_counter() - started)
    right = {name: [r == word for r, word in zip(read[name], words, strict=True)] for name in ENGINES}
    rows = [{"word": word, **{name: read[name][n] for name in ENGINES}} for n, word in enumerate(words)]
    return {
        "pictures": len(words),
        "exact": {name: sum(right[name]) for name in ENGINES},
        "milliseconds": {name: round(1000 * float(np.median(times[name])), 1) for name in ENGINES},
        "one_reads": [rows[n] for n in range(len(words)) if sum(right[name][n] for name in ENGINES) == 1],
        "both_misread": [rows[n] for n in range(len(words)) if not any(right[name][n] for name in ENGINES)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=5)
    a = parser.parse_args()
    chosen = held_out_signs(a.pictures, a.seed)
    words = [sign.word for sign in chosen]
    for name in ENGINES:
        engine(name).read(signs.draw(chosen[:1], np.random.default_rng(0))[0], _ENLARGE)  # what happens once a process is not timed
    half = a.pictures // 2
    sets = {
        "rendered": signs.draw(chosen, np.random.default_rng(a.seed)),
        "demo models": [
            *draw(*comfy_model.load("unet"), chosen[:half], a.seed),
            *draw(*comfy_model.load("mmdit"), chosen[half:], a.seed),
        ],
    }
    result = {**environment(), "seed": a.seed, "sets": {kind: compare(words, images) for kind, images in sets.items()}}
    for kind, found in result["sets"].items():
        print(kind, found["exact"], found["milliseconds"], f"{len(found['one_reads'])} read by one only", flush=True)
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
