"""Are toxic words found in pictures as people write them? `python dev.py run benchmarks.guard.reading --out FILE.json`

The toxic words of benchmarks.guard.prompts that the lists hold, and as many everyday words, each in capitals, small letters and both, with
another word before it and on a line above it, with an accent and with spaces between its letters, on flat and rough ground in the typefaces
of benchmarks.reading. Check Drawn Text's recall and false alarms, how much of the letters Mask Drawn Text covers, and how often Measure
Text Edit finds exactly what is written. What is missed is missed by the reading: typed, all of these words are found in all of these forms.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

from ...guard.picture import check
from ...scoring import toxicity
from ...scoring.edit import measure
from ...scoring.mask import mask_words
from ...scoring.ocr import ENGINES, engine
from ..reading.pictures import GROUNDS, drawn, typefaces
from ..record import environment
from .scores import PROMPTS, share

_EVERYDAY = Path(__file__).parents[2] / "demo" / "words" / "held_out.txt"
_ACCENTS = str.maketrans("aeiouAEIOU", "áéíöüÁÉÍÖÜ")
_GROW = 4  # pixels, as Mask Drawn Text takes by itself
FORMS = {
    "capitals": lambda word, other: word.upper(),
    "small": lambda word, other: word.lower(),
    "both": lambda word, other: word.capitalize(),
    "after a word": lambda word, other: f"{other.capitalize()} {word.lower()}",
    "two lines": lambda word, other: f"{other.upper()}\n{word.upper()}",
    "accented": lambda word, other: word.lower().translate(_ACCENTS),
    "spaced": lambda word, other: " ".join(word.upper()),
}


class _Once:
    """An engine that reads a picture once, though several ask for it."""

    def __init__(self, reader):
        self._reader, self._last = reader, (None, None)
        self.name, self.language, self.unknown = reader.name, reader.language, reader.unknown

    def find(self, picture, enlarge=1):
        if self._last[0] is None or not np.array_equal(self._last[0], picture):
            self._last = picture, self._reader.find(picture, enlarge)
        return self._last[1]


def words(count, seed):
    """(toxic, everyday) words of 4 to 8 letters that are toxic, or are not, in all forms when they are typed."""
    rows = [line.split("\t") for path in sorted(PROMPTS.parent.glob("guard_prompts*.tsv")) for line in path.read_text("utf-8").splitlines()]
    bad = sorted({match.word.lower() for _, kind, prompt in rows if kind == "plain" for match in toxicity.find(prompt)})
    good = sorted(set(_EVERYDAY.read_text("utf-8").lower().split()))
    chosen = []
    for some, toxic in ((bad, True), (good, False)):
        fit = [word for word in some if 4 <= len(word) <= 8 and word.isascii() and word.isalpha()]
        random.Random(seed).shuffle(fit)
        chosen.append([w for w in fit if all(bool(toxicity.find(form(w, "window"))) == toxic for form in FORMS.values())][:count])
    return chosen


def pictures(count, seed):
    """(form, whether it is toxic, text, picture, mask), one after the other."""
    rng = np.random.default_rng(seed)
    bad, good = words(count, seed)
    faces = typefaces("fr", ["".join(bad + good), "ÁÉÍÖÜáéíöü"])
    number = 0
    for some, toxic in ((bad, True), (good, False)):
        for at, word in enumerate(some):
            for form, write in FORMS.items():
                text = write(word, good[(at + 1) % len(good)])
                number += 1
                yield form, toxic, text, *drawn(text, faces[number % len(faces)], GROUNDS[number // len(faces) % 2], "level", rng)


def row(reader, form, toxic, text, picture, mask):
    edit = measure(picture, picture, text, reader) if not reader.unknown(text) else None
    return {
        "form": form,
        "toxic": toxic,
        "text": text,
        "read": reader.find(picture) and " ".join(found.text for found in reader.find(picture)),
        "flagged": bool(check(picture, reader).toxic),
        "exact": edit is not None and edit.words["edited"]["exact"] == 1,
        "covered": float(mask_words(picture, reader, _GROW)[mask].mean()),
    }


def summary(rows):
    """{form, or "all": {"recall", "false_alarms", "exact": share, "covered": mean}}"""
    found = {}
    for form in ("all", *FORMS):
        some = [row for row in rows if form in ("all", row["form"])]
        bad, good = ([row for row in some if row["toxic"] == toxic] for toxic in (True, False))
        found[form] = {
            "recall": share(sum(row["flagged"] for row in bad), len(bad)),
            "false_alarms": share(sum(row["flagged"] for row in good), len(good)),
            "exact": share(sum(row["exact"] for row in some), len(some)),
            "covered": round(float(np.mean([row["covered"] for row in some])), 4),
        }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--words", type=int, default=32, help="of each kind, each in seven forms")
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--seed", type=int, default=5)
    a = parser.parse_args()
    readers, rows = [_Once(engine(name)) for name in a.engines], {name: [] for name in a.engines}
    for number, one in enumerate(pictures(a.words, a.seed), 1):
        for reader in readers:
            rows[reader.name].append(row(reader, *one))
            if rows[reader.name][-1]["flagged"] != one[1]:
                print(reader.name, rows[reader.name][-1], flush=True)
        if number % 50 == 0:
            print(number, "pictures", flush=True)
    result = {**environment(), "words": a.words, "engines": {name: summary(some) for name, some in rows.items()}}
    print(json.dumps(result, indent=1))
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
