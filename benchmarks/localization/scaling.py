"""What a search costs as models get deeper: `python dev.py run benchmarks.localization.scaling --out FILE.json`

The demo MMDiT with trained blocks at random places among many that do nothing (deep_demo), so that the answer is known and a call costs
what a call of a deep model costs. Fast strategies run whole; the exhaustive one runs on --exhaustive-pairs, and its calls for as many
pairs as the others had are counted without drawing (known_answer). The growth with the number of pairs is counted the same way, and that
with the number of layers that decide together, of 57, as many as Flux has.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from ...localization.choice import chooser
from ...localization.drawing import Drawing
from ...localization.localize import localize
from ...localization.strategies import STRATEGIES
from ...localization.sweep import Sweep
from ...scoring.ocr import engine
from ...testing import deep_demo
from ...testing.known_answer import FINISHED, KnownAnswer
from ..record import environment
from .searches import held_out_pairs, setting

DEPTHS, PAIRS = (8, 24, 70), (10, 25, 50, 100, 200)
WIDE, DECIDING = 57, (2, 8, 12, 24)


def measured(layers, strategy, pairs, seed):
    """A search of the deep demo model, with an empty folder of cells."""
    loaded, places = deep_demo.load("mmdit", layers, seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        sweep = Sweep(Drawing(*loaded, held_out_pairs(pairs, seed), setting(seed, 16)), engine("RapidOCR"), Path(folder))
        found = localize(loaded[0], sweep, strategy)
        seconds = time.perf_counter() - started
        sweep.close()
    trained = [places.index(layer) if layer in places else None for layer in found.selection.layers]
    return {"pairs": pairs, "model_calls": sweep.drawing.model_calls, "seconds": round(seconds, 1), "found": trained}


def counted(layers, strategy, pairs, deciding=2):
    """Calls of a search whose answer is known, counted without a model: one call a picture and step, without CFG. Raises ValueError where
    it finds another one."""
    wanted = [layers // 3, layers // 2] if deciding == 2 else sorted(random.Random(deciding).sample(range(layers), deciding))
    sweep = KnownAnswer(layers, [wanted], pairs=pairs)
    found = chooser(strategy)(sweep, STRATEGIES[strategy](sweep), sweep.half).layers
    if list(found) != wanted:
        raise ValueError(f"{strategy} finds {found} and not {wanted}.")
    return sweep.calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=36)
    parser.add_argument("--exhaustive-pairs", type=int, default=2)
    parser.add_argument("--exhaustive-layers", type=int, default=24, help="the deepest model that it is run on")
    parser.add_argument("--layers", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    engine("RapidOCR")
    result = {**environment(), "seed": a.seed, "measured": {}, "counted": {}}
    for strategy in STRATEGIES:
        result["counted"][strategy] = {layers: {pairs: counted(layers, strategy, pairs) for pairs in PAIRS} for layers in DEPTHS}
    result["deciding"] = {strategy: {count: counted(WIDE, strategy, 100, count) for count in DECIDING} for strategy in STRATEGIES}
    result["deciding"]["paper"] = dict.fromkeys(DECIDING, 100 * (WIDE + 2) * FINISHED)
    result["counted"]["paper"] = {layers: {pairs: pairs * (layers + 2) * FINISHED for pairs in PAIRS} for layers in DEPTHS}
    a.out.write_text(json.dumps(result, indent=1) + "\n")
    for layers in a.layers:
        for strategy in a.strategies:
            if strategy == "exhaustive" and layers > a.exhaustive_layers:
                continue
            pairs = a.exhaustive_pairs if strategy == "exhaustive" else a.pairs
            row = result["measured"].setdefault(strategy, {})[layers] = measured(layers, strategy, pairs, a.seed)
            print(layers, strategy, row, flush=True)
            a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
