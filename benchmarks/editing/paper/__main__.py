"""The paper's edit benchmark on a model that ComfyUI loads: `python dev.py run benchmarks.editing.paper --model MODEL --out FOLDER`

MODEL is unet or mmdit (the demo models), a checkpoint with text encoders and VAE (SDXL, SD3), or the folder of DeepFloyd IF stage I in
ComfyUI's models/diffusers. Prompts are the paper's template with pairs of words (--template, --pairs), a file of prompts whose word
stands in quotes (--prompts, as SimpleBench and CreativeBench have them), or the demo models' signs. All methods draw the same noise.

FOLDER gets rows.jsonl, one picture a line, table.md in the paper's layout, result.json with its numbers, and summary.json: how many are
read (folded), of those whose target prompt by itself is read, how near the background is in dB, and the cost as a multiple of today's edit.
Run again, it goes on where it stopped.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from ....localization.pairs import DEFAULT, parse_pairs
from ....scoring.ocr import ENGINES, engine
from ...record import environment
from . import cases, table
from .methods import METHODS, Bench
from .models import load
from .rows import Rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--template", default=cases.TEMPLATE, help="the paper's: %(default)s")
    parser.add_argument("--pairs", type=Path, help="a file of word pairs, source, target a line; otherwise those that ship")
    parser.add_argument("--prompts", type=Path, help="a file of prompts, the drawn word in quotes; each takes the next pair")
    parser.add_argument("--signs", choices=cases.SIGNS, help="demo models: signs of held-out words; the target in other colours or not")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42, help="of the first pair, counted on")
    parser.add_argument("--layers", help="text layers as in the node; otherwise the published ones")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--ocr", choices=ENGINES, default="EasyOCR")
    parser.add_argument("--rows", type=int, default=1, help="pictures a batch")
    for name, kind in (
        ("steps", int),
        ("cfg", float),
        ("start", int),
        ("width", int),
        ("height", int),
        ("sampler", str),
        ("scheduler", str),
    ):
        parser.add_argument(f"--{name}", type=kind, help="otherwise the paper's for this model")
    a = parser.parse_args()
    model = load(a.model, {name: getattr(a, name) for name in ("steps", "cfg", "start", "width", "height", "sampler", "scheduler")})
    if a.signs:
        found = cases.signs(a.signs, a.count, a.seed)
    else:
        pairs = parse_pairs(a.pairs.read_text("utf-8-sig") if a.pairs else DEFAULT)
        found = cases.of_prompts(a.prompts.read_text("utf-8-sig"), pairs) if a.prompts else cases.of_template(a.template, pairs)
        found = found[: a.count]
    bench = Bench(model, a.layers, a.seed)
    methods = [name for name in a.methods if METHODS[name].fits(bench)]
    told = {"model": a.model, "cases": [vars(case) for case in found], "seed": a.seed, "ocr": a.ocr, "layers": list(bench.chosen.names)}
    told |= vars(model.setting)
    rows = Rows(a.out, told)
    reader = engine(a.ocr)
    for first in range(0, len(found), a.rows):
        batch = list(enumerate(found))[first : first + a.rows]
        missing = [name for name in methods if not all(rows.has(number, name) for number, _ in batch)]
        if not missing:
            continue
        source = bench.source(batch)
        for name in missing:
            started = time.process_time()
            drawn = METHODS[name].draw(bench, batch, source)
            rows.add(batch, name, source, drawn, reader, (time.process_time() - started) / len(batch))
        print(f"{min(first + a.rows, len(found))} of {len(found)} pairs", file=sys.stderr, flush=True)
    summary = table.summarize(rows.read(), methods)
    (a.out / "result.json").write_text(json.dumps({**environment(), **told, "methods": summary}, indent=1) + "\n", "utf-8")
    (a.out / "summary.json").write_text(json.dumps(table.outcome(rows.read(), methods), indent=1) + "\n", "utf-8")
    text = table.markdown(summary, len(found))
    (a.out / "table.md").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
