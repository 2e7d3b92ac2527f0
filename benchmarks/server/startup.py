"""How much longer does ComfyUI take to start with the pack? `python dev.py run benchmarks.server.startup --rounds 10 --out FILE.json`

Starts servers with and without the pack in turn and takes, when each answers first, the time since its start and the processor time that
it has used; the latter hardly depends on what else the machine does.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from ...testing.comfy_server import FOLDER, running
from ..record import environment

KINDS = ("without", "with")


def seconds(comfyui, pack):
    """(wall, processor) until the first answer."""
    with tempfile.TemporaryDirectory() as base:
        base = Path(base)
        (base / "custom_nodes").mkdir()
        if not pack:
            (base / "custom_nodes" / FOLDER).mkdir()  # the link to the pack is not made where there is something
            (base / "custom_nodes" / FOLDER / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
        begun = time.perf_counter()
        with running(comfyui, base) as server:
            wall = time.perf_counter() - begun
            used = psutil.Process(server.process.pid).cpu_times()
            nodes = [name for name in server.json("/object_info") if name.startswith("TextLayers")]
            assert bool(nodes) == pack
            return wall, used.user + used.system


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    comfyui, measured = os.environ["COMFYUI_PATH"], {kind: [] for kind in KINDS}
    seconds(comfyui, True)  # the files are then in memory, the bytecode is written
    for number in range(options.rounds):
        for kind in KINDS if number % 2 else KINDS[::-1]:
            measured[kind].append(seconds(comfyui, kind == "with"))
        print(f"round {number + 1} of {options.rounds}: {', '.join(f'{kind} {measured[kind][-1][1]:.2f} s' for kind in KINDS)}", flush=True)
    differences = [
        [w - o for w, o in zip(with_it, without, strict=True)]
        for with_it, without in zip(measured["with"], measured["without"], strict=True)
    ]
    wall, used = zip(*differences, strict=True)
    result = {
        **environment(),
        "rounds": options.rounds,
        "wall": {kind: [round(wall, 3) for wall, _ in rounds] for kind, rounds in measured.items()},
        "processor": {kind: [round(used, 3) for _, used in rounds] for kind, rounds in measured.items()},
        "wall_difference": round(statistics.median(wall), 3),  # of the two of a round
        "processor_difference": round(statistics.median(used), 3),
        "processor_range": [round(min(used), 3), round(max(used), 3)],
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"median difference: {result['wall_difference']:+.3f} s, processor time {result['processor_difference']:+.3f} s")


if __name__ == "__main__":
    main()
