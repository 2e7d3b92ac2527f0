"""Whether a server with the pack lives, and keeps its files and its models, whatever comes:
`python dev.py run benchmarks.server.robustness --out FILE.json`

Hostile prompts for every node, files of text layers that are none, interruptions at random moments, many edits in one queue, and two
clients at once. The server and everything it may write to lie in a folder of their own, which is deleted afterwards.
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from ....testing.comfy_server import ROOT, running
from ...record import environment
from . import fuzz, interruptions, layer_files, prompts, queues, written

_BAD = (fuzz.SERVER_ERROR, fuzz.HALTED, fuzz.DIED, fuzz.STUCK)


def fuzzed(comfyui, base, count, seed, without):
    """without: names of hostile values that end a server of ComfyUI's nodes alone; each would cost the start of another."""
    report = {
        "left_out": sorted(without),
        "cases": 0,
        "outcomes": Counter(),
        "errors": Counter(),
        "nodes": {},
        "of_core": Counter(),
        "findings": [],
    }
    started = time.perf_counter()
    with running(comfyui, base) as server:
        broken = list(fuzz.cases(prompts.of_nodes(server), server.json("/object_info"), count, seed, without))
    for case, found in tried(comfyui, base, broken):
        _add(report, case, found)
    return report | {"seconds": round(time.perf_counter() - started)}


def tried(comfyui, base, cases):
    """(case, its outcome) of each. A server that has died, hangs or runs nothing any more is started anew."""
    waiting = list(cases)
    while waiting:
        with running(comfyui, base) as server:
            while waiting:
                case = waiting.pop(0)
                found = fuzz.try_case(server, case)
                yield case, found
                if fuzz.ends_the_server(found):
                    break


def _name(case):
    return f"{'a node' if case.node and not case.where else case.where or 'body'}: {case.what}"


def _add(report, case, found):
    report["cases"] += 1
    report["outcomes"][found.kind] += 1
    report["nodes"].setdefault(case.node or "no prompt", Counter())[found.kind] += 1
    if found.kind == fuzz.FAILED:
        report["errors"][found.by] += 1
    if found.kind in (fuzz.SERVER_ERROR, fuzz.HALTED) and found.by == fuzz.CORE:
        report["of_core"][f"{found.kind}: {case.what}: {found.error[:120]}"] += 1
    if fuzz.is_finding(found):
        report["findings"].append({"node": case.node, "input": case.where, "value": case.what, **vars(found)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--interruptions", type=int, default=50)
    parser.add_argument("--edits", type=int, default=100, help="in one queue, of each demo model")
    parser.add_argument("--rounds", type=int, default=10, help="edits that each of the two clients queues")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    comfyui = Path(os.environ["COMFYUI_PATH"])
    result = {**environment(), "seed": a.seed}

    def keep(name, value):
        result[name] = value
        print(name, json.dumps(value, indent=1)[:3000], flush=True)
        a.out.write_text(json.dumps(result, indent=1) + "\n")

    with tempfile.TemporaryDirectory(prefix="robustness-") as folder:
        base = Path(folder) / "outer" / "comfyui"
        base.mkdir(parents=True)
        prompts.write_files(base)
        before = written.snapshot(base, comfyui, [ROOT, comfyui])
        alone = list(tried(comfyui, base, fuzz.of_core()))
        keep("nodes_of_comfyui_alone", {_name(case): f"{one.kind}: {one.error[:120]}" for case, one in alone if one.kind in _BAD})
        ending = {case.what for case, one in alone if fuzz.ends_the_server(one)}
        keep("fuzz", fuzzed(comfyui, base, a.cases, a.seed, ending))
        with running(comfyui, base) as server:
            prompt, node = prompts.of_nodes(server)["TextLayersLoad"]
            names = layer_files.write(base, (base / "models" / "text_layers" / prompts.LAYERS).read_text("utf-8"))
            said = layer_files.refusals(server, prompt, node, names)
            keep("layer_files", {"files": len(said), "refused": sum(text is not None for text in said.values()), "said": said})
            keep("interruptions", interruptions.interrupt(server, a.interruptions, a.seed))
            keep("clients", queues.clients(server, a.rounds))
            keep("alive", server.alive)
        for model in ("unet", "mmdit"):
            with running(comfyui, base) as server:
                keep(f"edits, {model}", queues.memory(server, model, a.edits))
        keep("written_outside", written.outside(before, written.snapshot(base, comfyui, [ROOT, comfyui]), base))


if __name__ == "__main__":
    main()
