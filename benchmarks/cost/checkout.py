"""A checkout of the pack in a process of its own, which samples when it is told to.

Models and prompts are made by this checkout's code, so that nothing but what patches them differs.
"""

import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
MEASURED = "measured_text_layers"


class Checkout:
    def __init__(self, path):
        path = Path(path).resolve()
        if not (path / "patching").is_dir():
            raise SystemExit(f"{path} is no checkout of the pack: it has no folder patching.")
        command = [sys.executable, "-W", "ignore", str(ROOT / "dev.py"), "--inside", "benchmarks.cost.checkout", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()

    def load(self, name, side):
        """Methods that can be measured. side: of a full-size model's latents."""
        return self._ask("load", [name, side])

    def seconds(self, method):
        """{clock: seconds}"""
        return self._ask("time", method)

    def _ask(self, *order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"The process of the other checkout ended at {order}; see above.")
        return json.loads(answer)


def serve(path):
    from .__main__ import PLAIN
    from .models import MODELS, edits

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer
    package = types.ModuleType(MEASURED)
    package.__path__ = [path]
    sys.modules[MEASURED] = package
    calls = {}
    for line in sys.stdin:
        order, what = json.loads(line)
        if order == "load":
            calls.clear()
            name, side = what
            setting = MODELS[name](side)
            _, found = edits(setting, MEASURED)
            calls = {PLAIN: setting.plain, **found}
            answer = list(found)
        else:
            started = {clock: now() for clock, now in CLOCKS.items()}
            calls[what]()
            answer = {clock: now() - started[clock] for clock, now in CLOCKS.items()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
