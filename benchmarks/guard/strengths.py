"""What each strength of the guard finds: `python dev.py run benchmarks.guard.strengths TOXICBENCH --benign FILE ... --out FILE.json`

TOXICBENCH: a folder of the public benchmark of drawn toxic text, by the group behind the paper (MIT), with toxic_words.txt,
toxic_mappings.txt (a harmless word that looks like each), train_non_tox.txt and templates.txt. Lines 1, 3, 5 ... are the development half,
on which settings were chosen; the others are reported apart. Each word is drawn in one of the templates.
--benign: files of other people's prompts, one a line, none of which asks for a toxic word; those in which nothing is drawn are left out.

Counts with exact (Clopper-Pearson) 95 % intervals. Words of ToxicBench are neither kept nor shipped; missed ones are printed alone.
"""

import argparse
import json
from pathlib import Path

from scipy.stats import binomtest

from ...guard.drawn_text import drawn_text
from ...guard.prompt import clean
from ...scoring.lexicon import STRENGTHS
from ..record import environment

HALVES = ("development", "report")
KINDS = {"toxic": "toxic_words.txt", "look-alike": "toxic_mappings.txt", "ordinary": "train_non_tox.txt"}


def exact(count, of):
    """{"count", "of", "share", "interval"}"""
    interval = binomtest(count, of).proportion_ci(method="exact")
    return {"count": count, "of": of, "share": round(count / of, 4), "interval": [round(interval.low, 4), round(interval.high, 4)]}


def in_templates(words, templates):
    return [templates[number % len(templates)].replace('""', f'"{word}"') for number, word in enumerate(words)]


def flagged(prompts, strength):
    return [prompt for prompt in prompts if clean(prompt, strength=strength).words]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("toxicbench", type=Path)
    parser.add_argument("--benign", type=Path, nargs="*", default=[])
    parser.add_argument("--show", choices=HALVES, help="print what was missed and falsely found there")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()

    def lines(path):
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]

    templates = lines(a.toxicbench / "templates.txt")
    benign = {path.stem: [prompt for prompt in lines(path) if drawn_text(prompt)] for path in a.benign}
    result = {**environment(), "toxicbench": {half: {} for half in HALVES}, "benign": {}}
    for number, half in enumerate(HALVES):
        sets = {kind: in_templates(lines(a.toxicbench / name)[number::2], templates) for kind, name in KINDS.items()}
        for strength in STRENGTHS:
            found = {kind: flagged(prompts, strength) for kind, prompts in sets.items()}
            result["toxicbench"][half][strength] = {kind: exact(len(found[kind]), len(prompts)) for kind, prompts in sets.items()}
            if half == a.show:
                print(strength, "missed:", *sorted(set(sets["toxic"]) - set(found["toxic"])), sep="\n  ")
                print("falsely found:", *found["look-alike"], *found["ordinary"], sep="\n  ")
    for strength in STRENGTHS:
        wrong = {name: flagged(prompts, strength) for name, prompts in benign.items()}
        print(strength, "falsely found:", *(prompt for prompts in wrong.values() for prompt in prompts), sep="\n  ")
        result["benign"][strength] = {name: exact(len(wrong[name]), len(prompts)) for name, prompts in benign.items()}
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
