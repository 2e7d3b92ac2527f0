"""Writes docs/guard.md of what benchmarks.guard.scores, guard_strengths, guard_pictures and guard_reading measured.

`python dev.py run benchmarks.guard.docs`
"""

from pathlib import Path

from ..markdown import table
from ..record import kept
from .strengths import exact

ROOT = Path(__file__).parents[2]
WAYS = {
    "unguarded": "no guard",
    "guarded": "Guard Drawn Text",
    "guarded, same latents": "Guard Drawn Text, target on the source's latents",
    "rewritten": "prompt rewritten: the cleaned prompt for all layers, same seed",
    "negative": "the toxic prompt as negative prompt",
}


def text():
    scores, strengths, drawn, written = (kept(f"guard_{name}") for name in ("scores", "strengths", "pictures", "reading"))
    kinds = [[kind, _of(found), _percent(found)] for kind, found in scores["flagged_by_kind"].items()]
    missed = sorted({prompt for label, kind, prompt, _ in scores["wrong"] if label == "toxic" and kind == "plain"})
    pictures = []
    for name, found in drawn["models"].items():
        for way, title in WAYS.items():
            if way in found:
                row = found[way]
                near = "the picture itself" if row["background_psnr"] is None else f"{row['background_psnr']:.2f} dB"
                columns = ("reads_the_toxic_word", "reads_the_replacement", "keeps_colours")
                pictures.append([f"demo {name}", title, *(_of(row[column]) for column in columns), near])
        pictures.append([f"demo {name}", "refusing", "0", "no picture", "no picture", "no picture"])
    unet, mmdit = (drawn["models"][name]["cost"] for name in ("unet", "mmdit"))
    clean = sum(found["of"] for kind, found in scores["flagged_by_kind"].items() if kind.startswith("clean"))
    signs = drawn["models"]["unet"]["guarded"]["reads_the_toxic_word"]["of"]
    return f"""# What the guard catches

Made by `python dev.py run benchmarks.guard.docs` of `benchmarks.guard.scores`, `guard_strengths`, `guard_pictures` and
`guard_reading`.

## Prompts

{scores["recall"]["of"]} prompts that ask for a toxic word to be drawn and {clean} that do not (`benchmarks/guard/data/guard_prompts.tsv`,
made by `benchmarks.guard.prompts`). A word counts as toxic that two of four public lists hold: cuss (its highest rating), naughty-words,
obscenity and washyourmouthoutwithsoap. The guard uses none of these packages; one of the forty lists behind its words is the one in
naughty-words. Half of the
words and half of the sentences were set apart for choosing among settings (`guard_prompts_development.tsv`); the figures are of the other
half. Its sentences were new to us, its words were not quite: a first draft with all words and the development sentences led to two repairs
of how sentences are read. No word was added or allowed for it. The strength is *slurs and obscenity*, the default.

**Recall {_percent(scores["recall"])}, precision {_percent(scores["precision"])}.** Once cleaned, {scores["still_toxic_once_cleaned"]}
prompts were still flagged.

{table(["kind", "flagged", "share (95 % interval)"], kinds)}

*Innocent* words hold a toxic one (Scunthorpe, Essex, cocktail). *Described* are toxic words that are in the prompt and not asked to be
drawn.

What got through undisguised, {len(missed)} prompts, are words that fewer than four of the forty lists hold (three, of words that are in no
dictionary), or that are on our own list of harmless ones.

## Strengths

ToxicBench is the public benchmark of drawn toxic text by the group behind the paper (MIT licence). Here is its training half, each word in
one of its templates. Every second line was for development; the other lines are the *report*. The whole list had been seen before anything
was written, and the report's figures were looked at three times: *everything* found 160 of 168 with 14 of 168 look-alikes, then with 11;
then mild words that are heard as friendly went out (silly, grump) and commands of contempt (shut up), *garbage* and *parasite* came in. So
the report is not of unseen words: expect less of new ones. Its list is no part
of the guard. *Look-alikes* are what the benchmark has in the place of each toxic word: harmless ones and made-up ones (*peniskicker*,
*asholes*); *ordinary* are everyday nouns.

{table(["part", "strength", "toxic words found", "look-alikes flagged", "ordinary words flagged"], toxicbench(strengths))}

Prompts of other people in which something is drawn and nothing is toxic. SimpleBench and CreativeBench (MIT licence) are from the
repository of GlyphControl: the same 400 words, a quarter of them rare and made-up ones, in one sentence and in many; PartiPrompts
(Apache 2.0) is from that of Parti, of whose 1632 prompts these ask for text. One word of them (whoop) was flagged at first and is on our
list of harmless ones since.

{table(["strength", *strengths["benign"]["everything"], "all: innocent prompts left alone"], benign(strengths))}

Counts with exact (Clopper-Pearson) 95 % intervals. What *everything* misses are ordinary words that insult by what is meant (pig,
coarse) and words misspelled twice.

## Pictures

{signs} signs a model with {drawn["words"]} toxic words of 3 to 6 letters, drawn one by one; the guard's replacement is FLOWER. EasyOCR
reads them. The background is measured against the unguarded picture.

{table(["model", "way", "reads the toxic word", "reads FLOWER", "keeps the colours", "background"], pictures)}

Time of guarding and sampling over sampling alone, median of rounds in turn: demo U-Net {unet["median"]:.3f} (fastest over fastest
{unet["of_fastest"]:.3f}), demo MMDiT {mmdit["median"]:.3f} ({mmdit["of_fastest"]:.3f}), where the target is sampled first.

On these two models a rewritten prompt keeps the rest of the picture nearly as well, for what it shows hardly depends on the word; see
[editing.md](editing.md) for prompts that differ in more than the word. A negative prompt does not take a word away.

## Words as people write them

{2 * written["words"]} words, half of them toxic, each in seven forms in the typefaces and on the grounds of docs/reading.md, level.
Typed, all toxic ones are found in all of these forms and none of the others is, so that what is missed here
is missed by the reading. *Exact* is what Measure Text Edit finds of all texts, *covered* how much of their letters Mask Drawn Text covers.

{table(["engine", "form", "toxic words found", "harmless flagged", "exact", "covered"], as_written(written))}

`python dev.py run benchmarks.guard.reading --engines RapidOCR --out FILE.json`, commit {written["commit"]}.

## What it does not do

It finds words, not meanings; insults made of harmless words get through, and so do words that are misspelled twice. All other layers and
the
pooled embedding still see the word as it was written. Whoever can edit a workflow can remove the node.
"""


def as_written(written):
    rows = []
    for engine, forms in written["engines"].items():
        for form, found in forms.items():
            flagged = (f"{_of(found[kind])}: {_percent(found[kind])}" for kind in ("recall", "false_alarms"))
            rows.append([engine, form, *flagged, _of(found["exact"]), f"{found['covered']:.1%}"])
    return rows


def toxicbench(strengths):
    rows = []
    for half, by_strength in strengths["toxicbench"].items():
        for strength, found in by_strength.items():
            rows.append([half, strength, *(f"{_of(found[kind])}: {_percent(found[kind])}" for kind in ("toxic", "look-alike", "ordinary"))])
    return rows


def benign(strengths):
    rows = []
    for strength, found in strengths["benign"].items():
        wrong, of = (sum(one[what] for one in found.values()) for what in ("count", "of"))
        rows.append([strength, *(f"{_of(one)} flagged" for one in found.values()), _percent(exact(of - wrong, of))])
    return rows


def _of(found):
    return f"{found['count']} of {found['of']}"


def _percent(found):
    low, high = found["interval"]
    return f"{found['share']:.1%} ({low:.1%} to {high:.1%})"


def main():
    (ROOT / "docs" / "guard.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
