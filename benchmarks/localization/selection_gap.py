"""What the selection's constants GAP and CLOSES rest on: `python dev.py run benchmarks.localization.selection_gap --out FILE.json`

Words that the demo models were trained on, so that the figures reported for other words stay blind. For the one, two, three and four most
decisive layers: how much of the way to all layers' first prediction is missing, the share of that which the best further layer closes,
and how many finished pictures are read as the target's word, of those that are read so with all layers.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from ...demo import comfy_model
from ...demo.train import word_list
from ...localization.drawing import Drawing
from ...localization.selection import CLOSE_PAIRS, GAP_PAIRS, gaps
from ...localization.strategies import STRATEGIES
from ...localization.sweep import Sweep
from ...scoring.ocr import engine
from ..record import environment
from .searches import paired, setting

_MOST = 4


def measure(name, seed, count, ocr):
    """One row for each size of set."""
    pairs = paired(random.Random(seed).sample(sorted(word_list("train")), 4 * count), count)
    model, clip, vae = comfy_model.load(name)
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(Drawing(model, clip, vae, pairs, setting(seed, 16)), ocr, Path(folder))
        order = STRATEGIES["first_step"](sweep).order
        sets = [tuple(sorted(order[:size])) for size in range(1, _MOST + 1)]
        read = sweep.readings([sweep.layers, *sets], range(count))
        legible = [n for n, reading in enumerate(read[sweep.layers]) if reading.exact]
        rows = []
        for chosen in sets:
            more = [tuple(sorted((*chosen, layer))) for layer in sweep.layers if layer not in chosen]
            gap = gaps(sweep, [chosen], GAP_PAIRS)[chosen]
            left = gaps(sweep, [chosen, *more], CLOSE_PAIRS)
            exact = sum(read[chosen][n].exact for n in legible)
            closes = 1 - min(left[candidate] for candidate in more) / left[chosen]
            rows.append({"model": name, "seed": seed, "layers": chosen, "gap": gap, "closes": closes, "exact": exact, "of": len(legible)})
            print(rows[-1], flush=True)
        sweep.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=48, help="pairs for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    ocr = engine("EasyOCR")
    rows = []
    for name in comfy_model.MODELS:
        for seed in a.seeds:
            rows += measure(name, seed, a.count, ocr)
            a.out.write_text(json.dumps({**environment(), "pairs": a.count, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
