"""The pictures of benchmarks.reading: texts in several typefaces, on flat and rough ground, level, tilted and on end.

rendered    one after the other: Written
drawn       a text in a typeface on a ground
load        those of a folder
"""

import csv
import itertools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from ...demo.second_generation.light import Sun
from ...demo.second_generation.walls import MATERIALS, WALL_COLOURS, wall
from .texts import TEXTS

SIZE = (512, 256)
GROUNDS = ("flat", "rough")
TURNS = {"level": (0,), "tilted": (-20, -12, 12, 20), "on end": (90,)}
_MOST = {"level": (420, 170), "tilted": (360, 130), "on end": (220, 120)}  # pixels that the text may take, before it is turned
_DEJAVU = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono")
_PACKAGED = ("roboto", "lora", "oswald", "playfair_display", "roboto_slab", "roboto_mono")
_OWN = {"zh": "pylopdf_fonts_zh_cn", "ja": "pylopdf_fonts_jp", "ko": "pylopdf_fonts_ko", "ar": "pylopdf_fonts_ar"}


@dataclass(frozen=True)
class Written:
    """picture: [H, W, 3] uint8; mask: [H, W] bool, the text's pixels, or None; turn: of TURNS, or "" where it is not known."""

    name: str
    language: str
    text: str
    picture: np.ndarray
    mask: np.ndarray | None
    turn: str


def typefaces(language, texts=None):
    """Paths of those that have all that the texts, or else those of TEXTS, need. Raises SystemExit where a package of them is not
    installed."""
    if language in _OWN:
        faces = sorted(_files(_OWN[language]))
    else:
        faces = [Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf" for name in _DEJAVU]
        faces += [next(path for path in sorted(_files(f"fontpkg_{name}")) if "Italic" not in path.name) for name in _PACKAGED]
    needed = {ord(c) for text in texts or TEXTS[language] for c in text if not c.isspace()}
    return [path for path in faces if needed <= TTFont(path, lazy=True).getBestCmap().keys()]


def _files(package):
    found = find_spec(package)
    if found is None:
        raise SystemExit(f"The package {package.replace('_', '-')}, which has the typefaces, is not installed.")
    return [path for path in Path(next(iter(found.submodule_search_locations))).rglob("*") if path.suffix in (".ttf", ".otf")]


def rendered(seed=7):
    rng = np.random.default_rng(seed)
    for language, texts in TEXTS.items():
        faces = itertools.cycle(typefaces(language))
        for number, text in enumerate(texts):
            for ground, turn in itertools.product(GROUNDS, TURNS):
                name = f"{language}-{number}-{ground}-{turn.replace(' ', '-')}.png"
                yield Written(name, language, text, *drawn(text, next(faces), ground, turn, rng), turn)


def drawn(text, face, ground, turn, rng):
    """(picture, mask), as Written has them; face: a path; ground: of GROUNDS; turn: of TURNS."""
    font, (left, top, right, bottom) = _fitted(text, face, _MOST[turn])
    mask = Image.new("L", SIZE)
    at = ((SIZE[0] - left - right) / 2, (SIZE[1] - top - bottom) / 2)
    ImageDraw.Draw(mask).text(at, text, 255, font, align="center")
    mask = mask.rotate(int(rng.choice(TURNS[turn])), Image.BICUBIC)
    share = np.asarray(mask, np.float32)[..., None] / 255
    behind, ink = _ground(ground, rng)
    return (behind * (1 - share) + ink * share).round().astype(np.uint8), share[..., 0] > 0.5


def _fitted(text, face, most):
    """In the largest size, up to 72 pixels, in which it fits."""
    for size in range(72, 8, -4):
        font = ImageFont.truetype(str(face), size)
        box = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font, align="center")
        if box[2] - box[0] <= most[0] and box[3] - box[1] <= most[1]:
            return font, box
    raise ValueError(f"{text} does not fit.")


def _ground(kind, rng):
    """(ground [H, W, 3], the text's colour, far from it in lightness)"""
    if kind == "flat":
        behind = np.full((SIZE[1], SIZE[0], 3), rng.integers(30, 226, 3), np.float32)
    else:
        small = wall(rng.choice(MATERIALS), rng.choice(list(WALL_COLOURS)), Sun.random(rng), rng)
        behind = np.asarray(Image.fromarray((np.clip(small, 0, 1) * 255).astype(np.uint8)).resize(SIZE, Image.BICUBIC), np.float32)
    dark = behind.mean() < 128
    return behind, rng.integers(215, 256, 3) if dark else rng.integers(0, 41, 3)


def load(folder):
    """Of texts.tsv: file, language, text with \\n for lines and, where there, a mask picture and a word for its turn. Raises SystemExit
    that says which line is wrong."""
    path = folder / "texts.tsv"
    if not path.is_file():
        raise SystemExit(f"There is no file {path}: a line a picture, file, language and text with tabs between.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            if not row or row[0] == "file":
                continue
            if len(row) < 3 or not (folder / row[0]).is_file():
                raise SystemExit(f"{path}, line {number}: expected the name of a picture beside it, a language and a text.")
            name, language, text, mask, turn = (*row, "", "")[:5]
            white = np.asarray(Image.open(folder / mask).convert("L")) > 127 if mask else None
            picture = np.asarray(Image.open(folder / name).convert("RGB"))
            yield Written(name, language, text.replace("\\n", "\n"), picture, white, turn)
