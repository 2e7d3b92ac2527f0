"""How well do the OCR engines read text as people write it? `python dev.py run benchmarks.reading [FOLDER] --out FILE.json`

FOLDER holds pictures and texts.tsv: file, language, text with \\n for lines and, where there, a mask picture that is white on the text's
pixels, and a word for its turn. Without it, the texts of texts.py in eight languages that use Latin or Cyrillic letters, Chinese,
Japanese, Korean and Arabic, each on flat and on rough ground, level, tilted by 12 or 20 degrees and on end.

A row a file and engine: what was read, whether it is the text (`exact`), whether it is when case, punctuation and spaces do not count
(`exact_folded`), and the share of the text's pixels that lie in the boxes. `recommended`: the engine is the one for this language.
Weights that are neither in a package nor downloaded yet are fetched; where that fails it is said, and the built-in ones read.
"""

import argparse
import json
from functools import lru_cache
from pathlib import Path

from ...scoring.compare import USUAL, Folding
from ...scoring.image import inside
from ...scoring.languages import BUILT_IN
from ...scoring.lines import text_of
from ...scoring.ocr import ENGINES, engine, enlargement
from ..record import environment
from .pictures import load, rendered
from .summary import summary

RECOMMENDED = dict.fromkeys(("en", "de", "fr", "es", "pl", "tr", "ru", "zh", "ja", "ko"), "RapidOCR")
# What is chosen on the nodes for a language of the pictures; any other is written in Latin letters.
_CHOSEN = {"en": BUILT_IN, "ru": "Cyrillic letters", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "ar": BUILT_IN}
_AS_IT_STANDS = Folding(case=False, accents=False, punctuation=False, spaces=False)


@lru_cache(None)
def reader(name, language):
    """Where the weights for a language cannot be downloaded, the engine as it is without."""
    try:
        return engine(name, _CHOSEN.get(language, "Latin letters"))
    except ConnectionError as error:
        print(f"{language}: {error}", flush=True)
        return engine(name)


def row(written, name):
    found = reader(name, written.language).find(written.picture, enlargement(len(written.picture)))
    read = text_of(found)
    covered = None
    if written.mask is not None and written.mask.any():
        covered = round(float(inside(written.picture.shape, [f.box for f in found])[written.mask].mean()), 4)
    return {
        "file": written.name,
        "language": written.language,
        "text": written.text,
        "turn": written.turn,
        "engine": name,
        "recommended": RECOMMENDED.get(written.language) == name,
        "read": read,
        "exact": _AS_IT_STANDS.same(read, written.text),
        "exact_folded": USUAL.same(read, written.text),
        "boxes_cover": covered,
    }


def recorded(path, languages, engines):
    """Writes what these engines read; what the file says of others stays, with the commit that they were read with."""
    about = environment()
    before = json.loads(path.read_text("utf-8")) if path.is_file() else {"languages": {}, "commits": {}}
    kept = {name: found for name, found in before["commits"].items() if name not in engines}
    for language, found in languages.items():
        others = {name: turns for name, turns in before["languages"].get(language, {}).items() if name in kept}
        languages[language] = {name: {**others, **found}[name] for name in ENGINES if name in others or name in found}
    commits = kept | dict.fromkeys(engines, about.pop("commit"))
    path.write_text(json.dumps({**about, "commits": commits, "languages": languages}, indent=1) + "\n", "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--record", type=Path, help="also a file with their sums and what they were made with, for docs/reading.md")
    a = parser.parse_args()
    rows = []
    for written in load(a.folder) if a.folder else rendered():
        rows += [row(written, name) for name in a.engines]
        if len(rows) % (50 * len(a.engines)) == 0:
            print(len(rows) // len(a.engines), "pictures", flush=True)
    a.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if a.record:
        recorded(a.record, summary(rows), a.engines)
    for language, engines in summary(rows).items():
        for name, turns in engines.items():
            print(language, name, *(f"{turn}: {one['exact_folded']} of {one['pictures']}" for turn, one in turns.items()), sep="\t")


if __name__ == "__main__":
    main()
