"""Do the demo models draw words that they never saw? `python dev.py run benchmarks.editing.demo_quality --out FILE.json`

200 pictures a model of held-out words, read by EasyOCR; colours and shape measured from pixels; seconds of one picture alone.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from ...demo import comfy_model, pictures, signs
from ...demo.train import word_list
from ...scoring.compare import capitals
from ...scoring.ocr import EasyOcr
from ..record import environment

BATCH = 25


def held_out_signs(count, seed):
    rng = np.random.default_rng(seed)
    return [signs.random_sign(rng, str(word)) for word in rng.choice(word_list("held_out"), count, replace=False)]


def draw(model, clip, vae, shown, seed):
    """Pictures of Signs; the batches' seeds count from `seed`."""
    drawn = []
    for first in range(0, len(shown), BATCH):
        batch = shown[first : first + BATCH]
        positive = pictures.encode(clip, [sign.prompt() for sign in batch])
        drawn.extend(pictures.sample(model, clip, vae, positive, seed + first, len(batch)))
    return drawn


def quality(name, count, seed, ocr):
    """{"pictures", "exact", "colours", "shape", "misread": [[word, reading], ...]} of one model; the middle three are counts."""
    chosen = held_out_signs(count, seed)
    drawn = draw(*comfy_model.load(name), chosen, seed)
    read = [capitals(ocr.read(p, enlarge=4)) for p in drawn]
    return {
        "pictures": count,
        "exact": sum(r == s.word for r, s in zip(read, chosen, strict=True)),
        "colours": sum(signs.read_colours(p) == (s.wall, s.sign) for p, s in zip(drawn, chosen, strict=True)),
        "shape": sum(signs.read_shape(p) == s.shape for p, s in zip(drawn, chosen, strict=True)),
        "misread": [[s.word, r] for r, s in zip(read, chosen, strict=True) if r != s.word],
    }


def seconds_a_picture(name):
    """Median wall time of one picture at the default settings, the model being loaded."""
    model, clip, vae = comfy_model.load(name)
    positive = pictures.encode(clip, [held_out_signs(1, 0)[0].prompt()])
    times = []
    for seed in range(6):
        started = time.perf_counter()
        pictures.sample(model, clip, vae, positive, seed, 1)
        times.append(time.perf_counter() - started)
    return round(float(np.median(times[1:])), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    a = parser.parse_args()
    ocr = EasyOcr()
    result = {"seed": a.seed, **environment(), "models": {}}
    for name in comfy_model.MODELS:
        result["models"][name] = {**quality(name, a.pictures, a.seed, ocr), "seconds_a_picture": seconds_a_picture(name)}
        print(name, {k: v for k, v in result["models"][name].items() if k != "misread"}, flush=True)
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
