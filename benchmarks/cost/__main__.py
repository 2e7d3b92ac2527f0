"""What patching costs: `python dev.py run benchmarks.cost --out FILE.json`

Sampling time with our node over sampling time without it, both in turn in one process: the demo models, and random models with the
full width and depth of SDXL and SD3-medium (half as many rounds). Also the time that importing the pack takes.

--before PATH: another checkout of the pack. Then an edit's time with this one over its time with that one, in turn, each in a process of
its own, by the clock and by the processor's time, which other work on the machine disturbs less; the same for sampling without our node,
which says how far the machine is to be believed.
"""

import argparse
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from ..record import commit, environment
from .checkout import CLOCKS, Checkout
from .models import MODELS, SMALL, edits
from .timing import in_turn, ratio, summary, timed

ROOT = Path(__file__).parents[2]
PLAIN = "unpatched"


def compare(name, side, rounds):
    """{method: ratio} of an edit to a plain run, in this process."""
    setting = MODELS[name](side)
    layers, found = edits(setting, "text_layers")
    return {"layers": layers, **{method: ratio(timed(setting.plain), timed(edit), rounds) for method, edit in found.items()}}


def compare_checkouts(name, side, before, after, rounds):
    """{method: {clock: ratio}} of an edit with the one to an edit with the other."""
    methods = [checkout.load(name, side) for checkout in (before, after)]
    shared = [method for method in methods[0] if method in methods[1]]
    if not shared:
        raise SystemExit(f"The two checkouts have no method in common: {methods[0]} and {methods[1]}.")
    found = {}
    for method in (PLAIN, *shared):
        said = in_turn(lambda m=method: before.seconds(m), lambda m=method: after.seconds(m), rounds)
        found[method] = {clock: summary(*([one[clock] for one in side] for side in said)) for clock in CLOCKS}
    return found


def import_seconds():
    """Median time of importing the pack's entry point in a fresh interpreter."""
    code = (
        "import sys, time, importlib; sys.path.insert(0, sys.argv[1]); started = time.perf_counter(); "
        "importlib.import_module(sys.argv[2]); print(time.perf_counter() - started)"
    )
    command = [sys.executable, "-c", code, str(ROOT.parent), ROOT.name]
    times = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(5)]
    return round(statistics.median(times), 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--before", type=Path, help="folder of another checkout")
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--side", type=int, default=32, help="of the full-size models' latents: the smaller, the more our own work weighs")
    a = parser.parse_args()
    result = {**environment(), "side": a.side, "rounds": a.rounds, "import_seconds": import_seconds(), "ratios": {}}
    with ExitStack() as stack:
        if a.before:
            result["before"] = commit(a.before)
            pair = [stack.enter_context(Checkout(path)) for path in (a.before, ROOT)]
        for name in a.only:
            rounds = a.rounds if name in SMALL else max(1, a.rounds // 2)
            result["ratios"][name] = compare_checkouts(name, a.side, *pair, rounds) if a.before else compare(name, a.side, rounds)
            print(name, result["ratios"][name], flush=True)
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
