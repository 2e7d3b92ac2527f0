"""Writes docs/localization.md and its table in docs/evidence.md from results/: `python dev.py run benchmarks.localization.docs`"""

from pathlib import Path
from statistics import mean

from PIL import Image

from ...localization.proof import ERROR, needed
from ...localization.selection import BLOCK, REACH
from ...localization.spread import _CHUNK
from ...localization.strategies import PAIRS, STRATEGIES
from ...scoring.charts import curves
from ...scoring.intervals import rate
from ..markdown import between, table
from ..record import kept
from . import checked_layers_docs
from .scaling import WIDE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MODELS, SEEDS = ("unet", "mmdit"), (13, 14, 15)
BEGIN, END = "<!-- localization table: written by benchmarks/localization/docs.py -->", "<!-- end of the localization table -->"
NAMES = {"unet": "demo U-Net", "mmdit": "demo MMDiT"}
FRESH = needed("gradients")[0]


def _numbers(layers):
    return ", ".join(map(str, layers))


def _share(values, digits=0):
    mean, lower, upper = (f"{100 * value:.{digits}f}" for value in values)
    return f"{mean} % ({lower} to {upper})"


def answers(results):
    rows = []
    for model in MODELS:
        for seed in SEEDS:
            found = results[model, seed]
            sets = {strategy: _numbers(row["layers"]) for strategy, row in found["strategies"].items()}
            for chosen, checked in found["held_out"].items():
                by = ", ".join(strategy for strategy, layers in sets.items() if layers == _numbers(chosen.split()))
                rows.append(
                    [NAMES[model], seed, found["pairs"], _numbers(chosen.split()), by, _share(checked["chosen"]), _share(checked["all"]),
                     _share(checked["chosen_minus_all"]), _share(checked["random"])]
                )  # fmt: skip
    head = ["model", "seed", "pairs", "layers", "found by", "reads the target's word", "all layers", "difference", "as many random layers"]
    return table(head, rows)


def costs(results):
    rows = []
    for model in MODELS:
        found = results[model, SEEDS[0]]
        paper = found["paper"]
        rows.append([NAMES[model], "the paper's procedure", f"{paper['calls']:,}", f"{paper['seconds']:.0f}", "1", "1"])
        for strategy in (name for name in STRATEGIES if name in found["strategies"]):
            row = found["strategies"][strategy]
            faster = f"{paper['seconds'] / row['seconds']:.1f}x" if "paper_seconds" in row else "another run"
            fewer = f"1/{paper['calls'] / row['model_calls']:.1f}"
            rows.append(["", strategy, f"{row['model_calls']:,}", f"{row['seconds']:.0f}", fewer, faster])
    return table(["model", "search", "model calls", "seconds", "calls", "faster"], rows)


def short_table(results):
    rows = []
    for model in MODELS:
        found = results[model, SEEDS[0]]
        row, paper = (
            found["strategies"][next(name for name in STRATEGIES if name in found["strategies"])],
            found["paper"],
        )  # the node's first
        checked = found["held_out"][" ".join(map(str, row["layers"]))]
        chosen, everything = (f"{100 * checked[kind][0]:.0f} %" for kind in ("chosen", "all"))
        rows.append(
            [NAMES[model], f"{_numbers(row['layers'])} of {len(row['scores'])}", f"{row['model_calls']:,}", f"{row['seconds']:.0f}",
             f"{paper['calls']:,} calls, {paper['seconds']:,.0f} s", f"{chosen}, {everything}"]
        )  # fmt: skip
    head = ["", "layers found", "model calls", "seconds", "the paper's procedure", "read as the target: these layers, all layers"]
    return table(head, rows)


def with_table(evidence):
    """The text of docs/evidence.md with the table as it should be."""
    return between(evidence, BEGIN, END, short_table(load_all()))


def gaps(found):
    rows = []
    for row in found["rows"]:
        exact = f"{row['exact']} of {row['of']}"
        rows.append(
            [NAMES[row["model"]], row["seed"], _numbers(row["layers"]), f"{100 * row['gap']:.1f} %", f"{100 * row['closes']:.0f} %", exact]
        )
    return table(["model", "seed", "layers", "gap", "closed by the best further layer", "read as the target's word"], rows)


def scaling(found):
    depths = list(found["counted"]["paper"])
    rows = []
    for strategy, by_depth in found["measured"].items():
        done = [by_depth.get(depth) for depth in depths]
        cells = [f"{row['model_calls']:,}; {row['seconds']:.0f} s; {_numbers(row['found'])}" if row else "not run" for row in done]
        pairs = next(iter(by_depth.values()))["pairs"]
        rows.append([f"{strategy}, {pairs} {'pair' if pairs == 1 else 'pairs'}", *cells])
    measured = table(["calls; seconds; found", *(f"{depth} layers" for depth in depths)], rows)
    rows = []
    for strategy, by_depth in found["counted"].items():
        rows += [[strategy, depth, *(f"{calls:,}" for calls in by_pairs.values())] for depth, by_pairs in by_depth.items()]
    pairs = next(iter(found["counted"]["paper"].values()))
    return measured, table(["search", "layers", *(f"{n} pairs" for n in pairs)], rows)


def deciding(found):
    """Calls by the number of layers that decide together."""
    counts = list(found["deciding"]["paper"])
    rows = [[strategy, *(f"{calls:,}" for calls in by_count.values())] for strategy, by_count in found["deciding"].items()]
    return table(["search", *(f"{count} deciding layers" for count in counts)], rows)


def errors(rows):
    """Of all numbers of deciding layers together, by what these draw; and the worst number."""
    told = []
    for true in dict.fromkeys(row["rate"] for row in rows):
        some = [row for row in rows if row["rate"] == true]
        searches, sure, wrong = (sum(row[key] for row in some) for key in ("searches", "sure", "sure_and_wrong"))
        worst = max(some, key=lambda row: row["sure_and_wrong"] / row["searches"])
        told.append(
            [f"{100 * true:g} %", f"{searches:,}", f"{100 * sure / searches:.1f} %", _share(rate(wrong, searches), 1),
             f"{100 * worst['sure_and_wrong'] / worst['searches']:.1f} % ({worst['deciding']} layers)"]
        )  # fmt: skip
    head = ["the deciding layers draw", "searches", "called sure", "wrong and called sure", "of the worst number of layers"]
    return table(head, told)


def workers(found):
    """What was measured with one and two of them, and the time on paper with more."""
    by_number = {number: [row for row in found["measured"] if row["workers"] == number] for number in (1, 2)}
    rates = {number: [row["predictions"] / row["seconds"] for row in rows] for number, rows in by_number.items()}
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    busy = [row["busy"] for row in found["measured"]]
    measured = (
        f"{mean(rates[1]):.1f} first predictions a second with one worker, {mean(rates[2]):.1f} with two, "
        f"{mean(ratios):.2f} times as many ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds), while {min(busy):.0f} to "
        f"{max(busy):.0f}\nprocesses wanted the two cores: too busy to show what a second worker brings to a free machine."
    )
    rows = [["time, 1 with one worker", *(f"{time:.2f}" for time in found["on_paper"].values())]]
    return measured, table(["workers", *found["on_paper"]], rows)


def engines(found):
    rows = []
    for kind, part in found["sets"].items():
        for name in part["exact"]:
            alone = sum(row[name] == row["word"] for row in part["one_reads"])
            rows.append([kind, name, f"{part['exact'][name]} of {part['pictures']}", alone, f"{part['milliseconds'][name]:.0f}"])
    return table(["pictures", "engine", "read exactly", "by this one only", "milliseconds a picture"], rows)


def disagreements(found, most=8):
    rows = [[kind, *row.values()] for kind, part in found["sets"].items() for row in part["one_reads"][:most]]
    return table(["pictures", "word", *next(iter(found["sets"].values()))["exact"]], rows)


def load_all():
    return {(model, seed): kept(f"localization-{model}-{seed}") for model in MODELS for seed in SEEDS}


def text():
    results = load_all()
    scale, ocr, starts = kept("localization_scaling"), kept("ocr_engines"), kept("start_steps")
    measured, counted = scaling(scale)
    first = results["unet", SEEDS[0]]
    trained_on = kept("selection_gap")
    together, more_workers = workers(kept("localization_workers"))
    return f"""# Localization, measured

Written by `python dev.py run benchmarks.localization.docs` from `benchmarks/results`. Processor: {first["processor"]}, one thread, the
other one of its core at work as well; {first["device"]}; torch {first["versions"]["torch"]}, ComfyUI {first["versions"]["comfyui"]}.
A model call is one evaluation of the model for one picture: with both halves of guidance a step costs two.

## Do the strategies find the same layers, and are they right?

Pairs of words that the demo models were never trained on. The layers that a search found are checked on further pairs (100 for seed
{SEEDS[0]}, 60 for the others), which share no word with those it used: finished pictures, read by EasyOCR, share of the target's word read
exactly, exact (Clopper-Pearson) 95 % intervals; of the difference a bootstrap.

{answers(results)}

`python dev.py run benchmarks.localization --model unet --strategy all --seed 13 --out benchmarks/results/localization-unet-13.json`,
likewise for `mmdit`; seeds 14 and 15 with `--count 48 --ranked 8 --verify 60 --no-paper`. RapidOCR ranks, EasyOCR selects. Nothing was
changed after these seeds were looked at, but for one thing that models of eight and nine layers do not notice: 16 layers at most are asked
what closes a gap.

## When is a set of layers complete?

Readings half-way through the schedule are lenient, so the selection also looks at the model's first prediction: a set is incomplete when
it leaves a gap of more than 1 % of the way to what all layers make of it, and one further layer closes a third of that. Both numbers come
from words that the demo models were trained on: the {trained_on["pairs"]} pairs of each seed below are none of the words above. Words are
counted in finished pictures, of those that are read right with all layers.

{gaps(trained_on)}

`python dev.py run benchmarks.localization.selection_gap --out benchmarks/results/selection_gap.json`

## What do they cost?

{first["pairs"]} pairs, seed {SEEDS[0]}, both in one run. The paper's procedure: one layer after another, one picture at a time, read by
EasyOCR; in joint attention every patched picture needs a run of the target as well.

{costs(results)}

*gradients* ranks all layers by one backward pass a pair, which counts as two calls. It was run later, on another machine of the
kind and beside other work, so that its seconds say little.
`exhaustive` asks two questions, what a layer does alone and what is lost without it, each on half of the pairs.

## How do they grow?

The demo MMDiT made deep: trained blocks at random places among many that do nothing. What was found is told as the trained block's number
in the demo model, whose text layers are 0, 1 and 2.

{measured}

Calls counted without drawing, for an answer of two layers, 20 steps and no guidance:

{counted}

The same for {WIDE} layers, as many as Flux has, of which more and more decide together:

{deciding(scale)}

`python dev.py run benchmarks.localization.scaling --pairs 24 --exhaustive-pairs 1 --exhaustive-layers 70 --strategies first_step bisection
halving exhaustive --out benchmarks/results/localization_scaling.json`

## How sure is sure?

A search chooses by what it sees, so that what it has seen proves nothing. *Sure* is one claim, tested afterwards on finished pictures of
pairs that the search has not seen: the layers draw at least {100 * REACH:.0f} % of the words that all layers draw. It takes
{FRESH} such pairs without a failure, more with one; it is wrong in at most {100 * ERROR:.0f} % of searches, whenever one looks.

Simulated searches through the same code: 1 to 10 deciding layers, 60, 100 or 200 pairs; a set is wrong that draws fewer than
{100 * REACH:.0f} %, also one that lacks a layer which the first prediction hardly shows.

{errors(kept("search_errors"))}

`python dev.py run benchmarks.localization.search_errors --out benchmarks/results/search_errors.json`

How often each layer of a demo model is chosen over templates, steps, guidance, seeds and disjoint pairs:
`python dev.py run benchmarks.localization.draws --model unet --draws 20 --out FILE.json`

{checked_layers_docs.section()}

## Outside the graph, on one GPU or many

`python -m custom_nodes.NAME.localization.command --help`, in ComfyUI's folder, NAME being the folder of this pack: the node's search of any
model that ComfyUI's loaders take, also in separate files, with the node's answer. What is found on the way lies where the node keeps it, so
that each goes on where the other one was stopped. With `--workers` it is spread by [Ray](https://docs.ray.io), on this machine or a cluster
(`--address`), whose machines have ComfyUI, the pack and the files at the same places and cards of one kind.

A worker that is killed, alone or with its machine, is replaced as often as it takes where there is room; what it had kept is not drawn
again where its disk is still there, at most {_CHUNK} pairs of one question otherwise. A full disk costs what is kept, not the answer. A
worker with another model, another version or another precision is refused. On this machine workers are as important as the search itself;
start a cluster that is busy otherwise with `RAY_worker_niceness=0`, because Ray's own 15 leaves them next to nothing of its processors.

What further workers bring is bounded by what a search asks one after another: slopes and first predictions of {PAIRS} pairs at a time,
which as many workers share; words {BLOCK} pairs at a time, so that with more than {BLOCK} the others wait there; random sets of layers are
cut among all. A worker's answer is some hundred bytes a cell, and no picture travels. Measured on two cores of one machine:
{together}

On paper, the search by gradients and its test, 57 layers and 20 steps:

{more_workers}

Beyond {BLOCK} workers hardly anything is left to share. Before that each loads the model, which the table leaves out, and a picture that
others are compared with is drawn once by each machine that needs it.

`python dev.py run benchmarks.localization.workers --pairs 6 --rounds 2 --out benchmarks/results/localization_workers.json`

Cells are known by all that decides them: version and code of the pack, ComfyUI's version, the OCR engine with its version and settings, the
model's, text encoder's and VAE's weights, patches and precision, sampler, settings, template and words. Weights count by sums of whole
numbers, so that threads, cards of one kind and the size of a batch make no difference.

## Which OCR engine?

{engines(ocr)}

Words that only one of them reads:

{disagreements(ocr)}

`python dev.py run benchmarks.reading.ocr_engines --out benchmarks/results/ocr_engines.json`

## The paper's figures

F1 of the drawn characters against the target's word, and mean squared error against the source's picture, for each single layer:

{chr(10).join(f"![{NAMES[m]}](localization-{m}-layers.png)" for m in MODELS)}

and for each first patched step, with the known text layers patched and other colours in the target prompt ({starts["pairs"]} pairs):

{chr(10).join(f"![{NAMES[m]}](../benchmarks/results/start_steps-{m}.png)" for m in MODELS)}

`python dev.py run benchmarks.editing.start_steps --out benchmarks/results/start_steps.json`
"""


def main():
    for model in MODELS:
        paper = kept(f"localization-{model}-{SEEDS[0]}")["paper"]
        picture = curves(range(len(paper["f1"])), paper["f1"], paper["mse"], "patched layer", NAMES[model])
        Image.fromarray(picture).save(DOCS / f"localization-{model}-layers.png")
    (DOCS / "localization.md").write_text(text())
    evidence = DOCS / "evidence.md"
    evidence.write_text(with_table(evidence.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
