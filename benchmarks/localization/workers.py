"""What workers bring to a search:

`python dev.py run benchmarks.localization.workers --rounds 3 --out benchmarks/results/localization_workers.json`

measured: first predictions of a demo model with 1 and with 2 workers on this machine, in turns, once they have loaded it; `busy` is how
many processes wanted its cores meanwhile. on_paper: how long the search by gradients and its test take with more workers, 1 with one of
them: its questions without drawing, cut as RaySweep cuts them, each chunk to the worker that is free first. As if a worker saw at once
what the others have kept, and none had to load anything.
"""

import argparse
import copy
import heapq
import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from ...demo import comfy_model
from ...localization.choice import chooser
from ...localization.drawing import Drawing
from ...localization.estimate import _Counted
from ...localization.proof import confirm, needed
from ...localization.spread import RaySweep
from ...localization.strategies import STRATEGIES
from ...scoring.ocr import engine
from ..record import environment
from .searches import held_out_pairs, setting

MODEL, LAYERS, STEPS = "mmdit", 57, 20  # of the model on paper: as Flux
WORKERS = (1, 2, 4, 8, 16)
ON_TWO = (1, 2)
_ROWS = 8


class Asked(_Counted):
    """Counts for each number of workers how long its questions take, in model calls one after another."""

    def __init__(self, pairs):
        super().__init__(LAYERS, pairs, STEPS, 1, True)
        self.long = dict.fromkeys(WORKERS, 0)

    def closeness(self, candidates, pairs, steps=1):
        return self._ask("closeness", list(pairs), list(candidates), steps)

    def slopes(self, base, weights, pairs):
        return self._ask("slopes", list(pairs), base, tuple(weights))

    def readings(self, candidates, pairs, steps=None):
        return self._ask("readings", list(pairs), list(candidates), steps)

    def _ask(self, kind, pairs, asked, how):
        for workers in WORKERS:
            # Those that find everything there cost nothing.
            whole = SimpleNamespace(workers=workers, unanswered=lambda kind, pairs, *given: pairs)
            ends = [0] * workers
            for some, part in RaySweep._chunks(whole, kind, pairs, asked, how):
                heapq.heappush(ends, heapq.heappop(ends) + self._cost(kind, some, part, how))
            self.long[workers] += max(ends)
        return self._answer(kind, pairs, asked, how)

    def _cost(self, kind, pairs, asked, how):
        other = copy.copy(self)
        other._drawn, other.calls = set(self._drawn), 0
        other._answer(kind, pairs, asked, how)
        return other.calls

    def _answer(self, kind, pairs, asked, how):
        if kind == "slopes":
            return super().slopes(asked, how, pairs)
        return getattr(super(), kind)(asked, pairs, how)


def on_paper():
    """{workers: time, 1 with one}"""
    sweep = Asked(held_out_pairs(needed("gradients")[1], 0))
    chosen = chooser("gradients")(sweep, STRATEGIES["gradients"](sweep), sweep.half).layers
    confirm(sweep, chosen, sweep.seen)
    return {workers: round(long / sweep.long[1], 3) for workers, long in sweep.long.items()}


def measured(pairs, rounds):
    """[{"workers", "seconds", "predictions", "busy"}] of each round."""
    loaded, found = comfy_model.load(MODEL), []
    layers = range(8)
    asked = [(layer,) for layer in layers] + [(layer, other) for layer in layers for other in range(layer)]
    for number in range(rounds):
        for workers in ON_TWO[:: -1 if number % 2 else 1]:
            with tempfile.TemporaryDirectory() as folder:
                drawing = Drawing(*loaded, held_out_pairs(pairs + 2, number), setting(number, _ROWS))
                given = (drawing, engine("RapidOCR"), Path(folder))
                sweep = RaySweep(*given, load="demo.comfy_model:load", arguments=(MODEL,), workers=workers)
                try:
                    while sweep._starting():
                        if (done := sweep._wait()) is not None:
                            sweep._compare(sweep._answer(done, *sweep._running.pop(done)))
                    sweep.closeness(asked[:2], range(2))
                    started = time.perf_counter()
                    sweep.closeness(asked, range(2, pairs + 2))
                    seconds = time.perf_counter() - started
                finally:
                    sweep.close()
            row = {
                "workers": workers,
                "seconds": round(seconds, 1),
                "predictions": len(asked) * pairs,
                "busy": round(os.getloadavg()[0], 1),
            }
            print(row, flush=True)
            found.append(row)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found = {"environment": environment(), "on_paper": on_paper(), "measured": measured(arguments.pairs, arguments.rounds)}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
