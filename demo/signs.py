"""The demo models' pictures: a word on a coloured sign on a coloured wall.

Sign            what one picture shows; `prompt()` is its prompt
Lettering       how its word is written
random_sign     draws one at random
draw            Signs -> pictures [B, 32, 64, 3] uint8 (the training data; numpy and a seed decide what the prompt leaves open)
shown           a user's text, for a message
text_box        where the word of a sign can stand, in pixels
read_colours    picture -> the names of its wall's and sign's colour, measured from pixels
read_shape      picture -> the name of the sign's shape, measured from pixels

Letters stand in six slots of 8 pixels. A shorter word leaves slots empty on both sides, so that each slot's content depends on
one token of the prompt: the extent of a word follows its letters.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 64, 32
SLOTS = 6
SLOT_WIDTH = 8
FIRST_SLOT = 8  # x of slot 0
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
INK = (24, 22, 30)
PALETTE = {
    "red": (226, 74, 66),
    "orange": (244, 150, 48),
    "yellow": (250, 222, 82),
    "green": (92, 184, 92),
    "blue": (92, 150, 238),
    "purple": (168, 110, 214),
    "pink": (248, 164, 200),
    "white": (240, 240, 236),
}
SHAPES = ("square", "round", "oval", "tilted")
FACES = {"regular": "", "bold": "-Bold", "oblique": "-Oblique", "bold oblique": "-BoldOblique"}  # of DejaVu Sans Mono
_OVERSAMPLING = 3  # every edge is drawn this much larger and box-filtered down
_EDGE = 0.4  # how dark a sign's outline is; darker ones are read as the letter I
_JITTER = 1  # pixels by which the whole sign may be off in x and y


@dataclass(frozen=True)
class Sign:
    """`word` is 3 to 6 letters A-Z or None for an empty sign; None elsewhere means the prompt does not say."""

    word: str | None
    sign: str | None
    wall: str | None
    shape: str | None

    def prompt(self):
        words = ["a", self.sign, self.shape, "sign"]
        if self.wall:
            words += ["on", "a", self.wall, "wall"]
        if self.word:
            words += ["that", "says", f'"{self.word}"']
        return " ".join(w for w in words if w)


@dataclass(frozen=True)
class Lettering:
    """face: of FACES; ink: red, green and blue in 0..255. The demo models know the default one only."""

    face: str = "regular"
    ink: tuple[int, int, int] = INK


PLAIN = Lettering()


def slots(word):
    """A word's six slots: its letters, about centred, and "_" for the empty ones."""
    if not 1 <= len(word) <= SLOTS or any(c not in LETTERS for c in word):
        raise ValueError(f'The demo models draw words of 1 to {SLOTS} letters A-Z, not "{shown(word)}".')
    left = (SLOTS - len(word)) // 2
    return "_" * left + word + "_" * (SLOTS - len(word) - left)


def shown(text):
    """For a message: 60 characters, and for half characters question marks, which ComfyUI's log cannot write."""
    return (text if len(text) <= 60 else f"{text[:60]}...").encode("utf-8", "replace").decode("utf-8")


def random_sign(rng, word):
    names = list(PALETTE)
    wall = names.pop(rng.integers(len(names)))
    return Sign(word, names[rng.integers(len(names))], wall, SHAPES[rng.integers(len(SHAPES))])


def draw(signs, rng, lettering=PLAIN):
    """Pictures [B, HEIGHT, WIDTH, 3] uint8. What a prompt leaves open, `rng` decides."""
    return np.stack([_draw_one(sign, rng, lettering) for sign in signs])


def _draw_one(sign, rng, lettering):
    full = random_sign(rng, sign.word)
    wall_name = sign.wall or full.wall
    sign_name = sign.sign or full.sign
    while wall_name == sign_name:
        other = str(rng.choice(list(PALETTE)))
        wall_name, sign_name = (other, sign_name) if sign.sign else (wall_name, other)
    dx, dy = (int(d) for d in rng.integers(-_JITTER, _JITTER + 1, 2))
    fill, edge = _shape_masks(sign.shape or full.shape, dx, dy)
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    picture[:] = PALETTE[wall_name]
    picture *= _shading(rng)[..., None]
    picture += (np.array(PALETTE[sign_name], np.float32) - picture) * fill[..., None]
    picture += (np.array(INK, np.float32) - picture) * (_EDGE * edge)[..., None]
    if sign.word:
        for slot, letter in enumerate(slots(sign.word)):
            if letter != "_":
                x = FIRST_SLOT + slot * SLOT_WIDTH + dx
                cell = picture[:, x : x + SLOT_WIDTH]
                cell += (np.array(lettering.ink, np.float32) - cell) * _glyph(letter, lettering.face, dy)[..., None]
    return picture.clip(0, 255).round().astype(np.uint8)


def _shading(rng):
    """Light on the wall: a gradient and faint blotches, as factors about 1. [HEIGHT, WIDTH]"""
    gx, gy = rng.uniform(-0.08, 0.08, 2)
    blotches = Image.fromarray(rng.uniform(-0.07, 0.07, (4, 8)).astype(np.float32)).resize((WIDTH, HEIGHT), Image.BICUBIC)
    slope = gx * np.linspace(-1, 1, WIDTH, dtype=np.float32) + gy * np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    return 1 + slope + np.asarray(blotches)


@lru_cache(None)
def _glyph(letter, face="regular", dy=0):
    """One letter's ink in its slot, 0 to 1. [HEIGHT, SLOT_WIDTH]"""
    from matplotlib import get_data_path  # matplotlib ships the font, so every machine draws the same letters

    s = _OVERSAMPLING
    font = ImageFont.truetype(str(Path(get_data_path()) / f"fonts/ttf/DejaVuSansMono{FACES[face]}.ttf"), 46)
    natural = Image.new("L", (27, HEIGHT * s))  # its advance is 27.7 at this size: squeezed a little, for height
    ImageDraw.Draw(natural).text((13.5, HEIGHT * s / 2 + 17), letter, 255, font, anchor="ms")
    return np.roll(_shrink(natural.resize((SLOT_WIDTH * s, HEIGHT * s), Image.BICUBIC)), dy, 0)


@lru_cache(None)
def _shape_masks(shape, dx=0, dy=0):
    """(fill, edge) of a sign that is dx, dy off the centre, 0 to 1. [HEIGHT, WIDTH] each"""
    s = _OVERSAMPLING
    fill = Image.new("L", (WIDTH * s, HEIGHT * s))
    edge = fill.copy()

    def paint(image, inset):
        pen = ImageDraw.Draw(image)
        left, top, right, bottom = (4 + inset) * s, (5 + inset) * s, (60 - inset) * s - 1, (27 - inset) * s - 1
        if shape == "square":
            pen.rectangle((left, top, right, bottom), 255)
        elif shape == "round":
            pen.rounded_rectangle((left, top, right, bottom), 10 * s, 255)
        elif shape == "oval":
            pen.ellipse((left - 2.5 * s, top - 3.5 * s, right + 2.5 * s, bottom + 3.5 * s), 255)
        else:
            lean = 5 * s
            pen.polygon([(left + lean, top), (right + s, top), (right - lean, bottom), (left - s, bottom)], 255)
        return image

    outer, inner = _shrink(paint(fill, 0)), _shrink(paint(edge, 1))
    return tuple(np.roll(mask, (dy, dx), (0, 1)) for mask in (outer, outer - inner))


def _shrink(image):
    s = _OVERSAMPLING
    a = np.asarray(image, np.float32) / 255
    return a.reshape(a.shape[0] // s, s, a.shape[1] // s, s).mean((1, 3))


def text_box(word):
    """(left, top, right, bottom) in pixels, jitter included: right and bottom are exclusive."""
    filled = [i for i, c in enumerate(slots(word)) if c != "_"]
    return (
        FIRST_SLOT + filled[0] * SLOT_WIDTH - _JITTER,
        HEIGHT // 2 - 7 - _JITTER,
        FIRST_SLOT + (filled[-1] + 1) * SLOT_WIDTH + _JITTER,
        HEIGHT // 2 + 7 + _JITTER,
    )


def _nearest_colour(pixels):
    """The palette's name for the median of some pixels [N, 3], by hue and lightness distance in RGB."""
    median = np.median(pixels.astype(np.float32), 0)
    return min(PALETTE, key=lambda name: np.square(median - PALETTE[name]).sum())


def _certain(mask):
    """Pixels that are inside a mask [HEIGHT, WIDTH] for every jitter."""
    return np.min([np.roll(mask, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], 0) > 0.99


def read_colours(picture):
    """(wall, sign): names from PALETTE. picture: [HEIGHT, WIDTH, 3] uint8."""
    wall = np.min([_certain(1 - _shape_masks(s)[0]) for s in SHAPES], 0)
    sign = np.min([_certain(_shape_masks(s)[0] - _shape_masks(s)[1]) for s in SHAPES], 0)
    left, top, right, bottom = text_box("A" * SLOTS)
    sign[top:bottom, left:right] = False
    return _nearest_colour(picture[wall]), _nearest_colour(picture[sign])


def read_shape(picture):
    """The shape whose mask explains the picture best, over all jitters, given its two colours. picture: [HEIGHT, WIDTH, 3] uint8."""
    wall, sign = (np.array(PALETTE[c], np.float32) for c in read_colours(picture))
    left, top, right, bottom = text_box("A" * SLOTS)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[top:bottom, left:right] = False
    errors = {}
    for shape in SHAPES:
        for dx, dy in product(range(-_JITTER, _JITTER + 1), repeat=2):
            fill, edge = _shape_masks(shape, dx, dy)
            expected = wall + (sign - wall) * fill[..., None]
            expected = expected + (np.array(INK) - expected) * (_EDGE * edge)[..., None]
            errors[shape, dx, dy] = np.square(picture - expected)[outside].mean()
    return min(errors, key=errors.get)[0]
