"""Writes docs/reading.md from results/reading.json: `python dev.py run benchmarks.reading.docs`"""

from pathlib import Path

from ...scoring.ocr import ENGINES
from ..markdown import table
from ..record import kept
from .pictures import TURNS

ROOT = Path(__file__).parents[2]
LANGUAGES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "pl": "Polish", "tr": "Turkish", "ru": "Russian", "zh": "Chinese",
    "ja": "Japanese", "ko": "Korean", "ar": "Arabic",
}  # fmt: skip


def percent(one, key):
    return f"{100 * one[key] / one['pictures']:.0f} %"


def readings(result):
    rows = []
    for language, name in LANGUAGES.items():
        for engine in ENGINES:
            turns = result["languages"][language][engine]
            cells = [f"{percent(turns[turn], 'exact_folded')} ({percent(turns[turn], 'exact')})" for turn in TURNS]
            covers = [f"{100 * turns[turn]['boxes_cover']:.0f} %" for turn in TURNS]
            rows.append([name, engine, *cells, " / ".join(covers)])
    return table(["", "engine", *TURNS, f"in the boxes: {' / '.join(TURNS)}"], rows)


def text():
    result = kept("reading")
    first = next(iter(result["languages"].values()))[next(iter(ENGINES))]
    return f"""# Reading drawn text

Check Drawn Text, Mask Drawn Text, Measure Text Edit, Localize Text Layers and the validation of trainings read pictures with OCR.
What is read stays as it stands: case, digits, marks, lines and spaces, in the order in which people read. What of it counts when it is
compared with the text that is wanted is decided in one place, `scoring/compare.py`, and chosen on Measure Text Edit: case, accents,
punctuation and spaces. Where nothing is chosen, case, punctuation and spaces do not count and accents do; `%`, `&`, `#`, `@` and the signs
of currencies always count.

| engine | reads | where its weights come from |
| --- | --- | --- |
| EasyOCR | Latin letters without accents, digits, `& ! ? . , : - ' % $ € / + # @` | downloaded at the first use |
| RapidOCR | Latin letters with accents, Chinese, Japanese | its package (`pip install rapidocr onnxruntime`) |

These are what the language *built in* reads. The others of the input `language` read with weights that are downloaded once: EasyOCR's own,
and RapidOCR's PP-OCRv5 for Korean and for Cyrillic letters. No package carries them, so that **Russian and Korean could not be measured**
where there was no network: the rows below are of the built-in weights, which cannot read them. Arabic is not offered. A wanted text with a
character that the engine does not read is refused, and not searched for in vain.

RapidOCR reads best in every language of the table and is what nodes that are placed anew take where it is installed.

Tilted lines are put in their order by the corners of what is found. Where RapidOCR finds nothing, or reads less surely than 0.8, or finds
something shorter than one and a half times its height, it looks at the picture turned by 90 degrees and at half its size as well, and takes
what has most letters. Pictures with a side of more than 1152 pixels are read in pieces instead.

## Measured

Signs of 512 x 256 pixels with what people write on them in eleven languages, in up to ten typefaces, half of them on flat ground and half
on walls of brick, wood, plaster, concrete and fabric: {first["level"]["pictures"]} pictures a language level, as many tilted by 12 or 20
degrees, as many on end. Share that is read exactly when case, punctuation and spaces do not count, in brackets as it stands; and how much
of the letters lies in the boxes, which is what Mask Drawn Text covers.

{readings(result)}

`python dev.py run benchmarks.reading --out FILE.json`, which also reads a FOLDER of other pictures; {result["processor"]}; commits:
{", ".join(f"{name} {commit}" for name, commit in result["commits"].items())}. On end means turned by 90 degrees.
"""


def main():
    (ROOT / "docs" / "reading.md").write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
