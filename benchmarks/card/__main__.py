"""Does patching work on a card, and what does it cost there? `python dev.py run benchmarks.card --out FILE.json`

The demo models, and random SDXL, Stable Diffusion 3 medium and Flux in full size (1024 x 1024, 2 steps), in float32, bfloat16, float16 and
fp8 weights, compiled, with half of the model on the card and with none and all of it kept there: whether source = target is the unpatched
picture, an edit's time over a plain run's, the peak of memory, and on which device how much is kept of the target's run. At most ten
minutes; what there was no time for, what failed and what did not fit is said case by case.

Without a card the same runs with tiny models on the CPU, within two minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

import torch

from ..record import environment
from .cases import as_dict, on_card, on_cpu

ROOT = Path(__file__).parents[2]
LAST = 30  # seconds that a case which has begun may take beyond the end


def run(cases, until, rounds):
    """{case: result}. A process that ends before it should is begun again behind the case in which it ended."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        for _, group in groupby(cases, key=lambda case: case.memory):
            waiting = list(group)
            while waiting:
                lines.write_text("")
                how = _process({"cases": [as_dict(c) for c in waiting], "lines": str(lines), "until": until, "rounds": rounds})
                told = {}
                for line in map(json.loads, lines.read_text("utf-8").splitlines()):
                    told[line.pop("case")] = line
                for name, result in told.items():
                    found[name] = {"failed": how} if result.get("begun") else result
                    _say(name, found[name])
                rest = [case for case in waiting if case.name not in told]
                if len(rest) == len(waiting):
                    found.update({case.name: {"failed": how} for case in rest})
                    rest = []
                waiting = rest
    return found


def _process(order):
    """How it ended."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "dev.py"), "--inside", "benchmarks.card.worker", json.dumps(order)]
    try:
        code = subprocess.run(command, timeout=max(1, order["until"] + LAST - time.time())).returncode
    except subprocess.TimeoutExpired:
        return "no time was left to finish it"
    return f"the process ended with {code}"


def _say(name, result):
    short = (
        result.get("failed")
        or result.get("left_out")
        or {
            method: f"{row['seconds_of_plain']}, identity off by {row['identity_off_by']}"
            for method, row in result.items()
            if isinstance(row, dict) and "identity_off_by" in row
        }
    )
    print(f"{name}: {short}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the cases' names")
    parser.add_argument("--seconds", type=int, help="that all may take; 560 on a card, 100 without one")
    a = parser.parse_args()
    card = torch.cuda.is_available()
    if not card:
        print("There is no card here: tiny models on the CPU instead.", flush=True)
    cases = [case for case in (on_card() if card else on_cpu()) if all(part in case.name for part in a.only)]
    if not cases:
        raise SystemExit(f"No case is called {' '.join(a.only)}.")
    started = time.time()
    until = started + (a.seconds or (560 if card else 100)) - LAST
    found = run(cases, until, rounds=2 if card else 1)
    result = {
        **environment(),
        "card": torch.cuda.get_device_name() if card else None,
        "seconds": round(time.time() - started),
        "cases": found,
    }
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
