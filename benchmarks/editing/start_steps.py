"""The paper's curves for the demo models: `python dev.py run benchmarks.editing.start_steps --out FILE.json`

How the drawn word (F1 of its characters, the paper's) and the rest of the picture (mean squared error against the source's picture)
depend on the first patched step, with the known text layers patched. Held-out pairs of words, the target prompt with other colours,
EasyOCR. The curves over layers are those of the paper's procedure in benchmarks.localization. A picture lies beside --out.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from ...demo import comfy_model, pictures
from ...demo.edit import sign_pair
from ...patching import models
from ...patching.patch import patch_prompt
from ...scoring import text
from ...scoring.charts import curves
from ...scoring.compare import capitals
from ...scoring.image import mse
from ...scoring.ocr import engine
from ..localization.searches import held_out_pairs
from ..record import environment
from .demo_quality import BATCH


def measure(name, pairs, seed):
    """{"f1": [...], "mse": [...]} for each start step from 0 to the number of steps."""
    model, clip, vae = comfy_model.load(name)
    ocr, chosen = engine("EasyOCR"), models.preset(model)
    found = {"f1": [], "mse": []}
    signs = [sign_pair(pair.source, pair.target, seed) for pair in pairs]
    batches = [signs[first : first + BATCH] for first in range(0, len(signs), BATCH)]
    prompts = [[pictures.encode(clip, [pair[side].prompt() for pair in batch]) for side in (0, 1)] for batch in batches]
    plain = [pictures.sample(model, clip, vae, source, seed, len(batch)) for batch, (source, _) in zip(batches, prompts, strict=True)]
    for start in range(pictures.STEPS + 1):
        scores, errors = [], []
        for batch, (source, target), before in zip(batches, prompts, plain, strict=True):
            edits = pictures.sample(patch_prompt(model, chosen, target, start=start), clip, vae, source, seed, len(batch))
            scores += [text.f1(capitals(ocr.read(edit, 4)), pair[1].word) for edit, pair in zip(edits, batch, strict=True)]
            errors += [mse(edit, picture) for edit, picture in zip(edits, before, strict=True)]
        found["f1"].append(round(float(np.mean(scores)), 4))
        found["mse"].append(round(float(np.mean(errors)), 6))
        print(f"{name}, start {start}: F1 {found['f1'][-1]:.3f}, MSE {found['mse'][-1]:.5f}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=9)
    a = parser.parse_args()
    pairs = held_out_pairs(a.pairs, a.seed)
    result = {**environment(), "seed": a.seed, "pairs": a.pairs, "models": {n: measure(n, pairs, a.seed) for n in comfy_model.MODELS}}
    a.out.write_text(json.dumps(result, indent=1) + "\n")
    for name, found in result["models"].items():
        picture = curves(range(pictures.STEPS + 1), found["f1"], found["mse"], "first patched step", f"demo model {name}")
        Image.fromarray(picture).save(a.out.with_name(f"{a.out.stem}-{name}.png"))


if __name__ == "__main__":
    main()
