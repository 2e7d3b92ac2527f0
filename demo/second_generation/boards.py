"""The second generation's pictures: a painted board with a few words on a wall, 256 x 128.

Board           what one picture shows; `prompt()` is its prompt, in one of FORMS
Freedom         how much of place, turn and size is left to chance
random_board    draws one at random
draw            Boards -> pictures [B, 128, 256, 3] uint8 (the training data; numpy and a seed decide what the prompt leaves open)
slots           a text's lines, each with the slots that its characters stand in
text_cells      which latent cells a text can cover

Characters stand in slots of 16 pixels, ten to a line, on a grid that is also the models' grid of tokens: one line fills two rows of
tokens in the middle, two lines four. Walls are in walls.py, light and wear in light.py.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from ..signs import shown
from . import light
from .walls import HEIGHT, MATERIALS, WALL_COLOURS, WIDTH, planks, wall

SLOTS, SLOT, LINE = 10, 16, 32  # characters a line; width of a slot and height of a line in pixels
LEFT = (WIDTH - SLOTS * SLOT) // 2  # x of slot 0
CELL = 8  # pixels of a latent cell
CAPITALS, SMALL, DIGITS, MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789", "&!?.-'"
CHARACTERS = CAPITALS + SMALL + DIGITS + MARKS + " "
PAINTS = {
    "red": (186, 40, 38),
    "orange": (226, 116, 34),
    "yellow": (240, 196, 60),
    "green": (38, 110, 70),
    "blue": (36, 84, 160),
    "purple": (104, 56, 130),
    "white": (236, 232, 220),
    "black": (38, 37, 40),
}
DARK_INK, LIGHT_INK = (34, 30, 32), (246, 240, 226)
LIGHT_PAINTS = ("orange", "yellow", "white")
LIGHT_WALLS, DARK_WALLS = ("yellow", "white"), ("red", "green", "blue", "purple", "black")
FORMS = ("sign first", "wall first", "text first")  # of prompts
SHAPES = ("square", "round", "oval")
KINDS = ("metal", "wooden", "chalk", "neon", "stencil")
BOARDS = KINDS[:3]  # the other two are written on the wall itself and have no shape
_SCALE = 3  # outlines and glyphs are drawn this much larger and box-filtered down
_CAP, _EM = 22, 30  # height of a capital in pixels, and of the face


@dataclass(frozen=True)
class Board:
    """text: one or two lines of up to ten CHARACTERS; "" or None for a board without a word. None elsewhere: the prompt does not say."""

    text: str | None
    paint: str | None
    kind: str | None
    shape: str | None
    wall: str | None
    material: str | None

    def prompt(self, form="sign first"):
        sign = " ".join(w for w in ("a", self.paint, self.kind, self.shape, "sign") if w)
        wall = " ".join(w for w in ("a", self.wall, self.material, "wall") if w) if self.wall or self.material else None
        says = None if self.text is None else '"' + self.text.replace("\n", " / ") + '"'
        order = {
            "sign first": (sign, wall and f"on {wall}", says and f"that says {says}"),
            "wall first": (wall, f"with {sign}" if wall else sign, says and f"that says {says}"),
            "text first": (says, f"on {sign}" if says else sign, wall and f"on {wall}"),
        }
        return " ".join(part for part in order[form] if part)


@dataclass(frozen=True)
class Freedom:
    """shift: pixels that board and text may be off; turn: degrees; sway: share that a corner may be off, as in perspective."""

    shift: float = 0
    turn: float = 0
    sway: float = 0
    faces: tuple[str, ...] = field(default=("DejaVuSansMono-Bold",))


FIXED = Freedom()


def slots(text):
    """[(line, slot, character)]: line 0 for a text of one line, 1 and 2 for the two of others. Spaces are left out."""
    lines = (text or "").split("\n")
    if len(lines) > 2 or any(len(line) > SLOTS or set(line) - set(CHARACTERS) for line in lines):
        raise ValueError(
            f"The demo models write one or two lines of up to {SLOTS} of the characters A-Z, a-z, 0-9, {' '.join(MARKS)} and spaces, "
            f'not "{shown(text)}". Lines are parted by " / ".'
        )
    first = 0 if len(lines) == 1 else 1
    found = []
    for number, line in enumerate(lines, first):
        left = (SLOTS - len(line)) // 2
        found += [(number, left + i, c) for i, c in enumerate(line) if c != " "]
    return found


def top(line):
    """y of a line's slots."""
    return {0: 48, 1: 32, 2: 64}[line]


def text_cells(text):
    """True for latent cells of lines that a text has. [HEIGHT / 8, WIDTH / 8] bool"""
    cells = np.zeros((HEIGHT // CELL, WIDTH // CELL), bool)
    for line in {line for line, _slot, _character in slots(text)}:
        cells[top(line) // CELL : (top(line) + LINE) // CELL, LEFT // CELL : (LEFT + SLOTS * SLOT) // CELL] = True
    return cells


def random_board(rng, text, kinds=KINDS):
    kind = str(rng.choice(kinds))
    paint, other = (str(c) for c in rng.choice(list(PAINTS), 2, replace=False))
    if kind == "stencil":  # nobody can read orange on green
        light_wall = rng.random() < 0.5
        paint = str(rng.choice(("black", "red", "blue") if light_wall else ("white", "yellow")))
        other = str(rng.choice([c for c in (LIGHT_WALLS if light_wall else DARK_WALLS) if c != paint]))
    paint = str(rng.choice(("black", "green"))) if kind == "chalk" else paint
    if kind == "neon" and paint == "black":
        paint = "red"
    if other == paint:
        other = "white"
    return Board(text, paint, kind, str(rng.choice(SHAPES)) if kind in BOARDS else None, other, str(rng.choice(MATERIALS)))


def draw(boards, rng, freedom=FIXED):
    """Pictures [B, 128, 256, 3] uint8."""
    return np.stack([_draw_one(board, rng, freedom) for board in boards])


def _draw_one(board, rng, freedom):
    full = random_board(rng, board.text, (board.kind,) if board.kind else KINDS)
    paint, wall_colour = board.paint or full.paint, board.wall or full.wall
    while not board.wall and wall_colour == paint:
        wall_colour = str(rng.choice(list(WALL_COLOURS)))
    sun = light.Sun.random(rng)
    picture = wall(board.material or full.material, wall_colour, sun, rng)
    place = _place(rng, freedom)
    written = _written(board.text, rng.choice(freedom.faces), place)
    if full.kind == "neon":
        return light.photograph(_neon(picture, written, paint), light.NIGHT, rng)
    if full.kind == "stencil":
        return light.photograph(_stencil(picture, written, paint, board.text, place, rng), sun, rng)
    outline, border = _outline(board.shape or full.shape or "square", place, rng, two_lines="\n" in (board.text or ""))
    picture *= 1 - 0.62 * light.shadow(outline, sun, rng)[..., None]
    if full.kind == "chalk":
        face = _chalkboard(outline, written, paint, sun, rng)
    else:
        face = _painted(full.kind, paint, outline, np.maximum(written, border * rng.choice([0, 0.85])), sun, rng)
    face *= light.bevel(outline, sun)[..., None]
    picture += (face - picture) * outline[..., None]
    return light.photograph(picture, sun, rng)


def _colour(paint):
    return np.array(PAINTS[paint], np.float32) / 255


def _painted(kind, paint, outline, written, sun, rng):
    """Letters on paint, on planks or on metal that rusts from its edges. [HEIGHT, WIDTH, 3]"""
    colour = _colour(paint)
    if kind == "wooden":
        face = planks(colour, sun, rng, pitch=rng.uniform(26, 44), gap=0.35, level=True)
    else:
        face = np.broadcast_to(colour, (HEIGHT, WIDTH, 3)) * (1 + 0.05 * light.noise(rng, 5) + 0.02 * light.noise(rng, 24))[..., None]
        near = gaussian_filter(1 - outline, 5) * 5
        eaten = np.clip(light.noise(rng, 9) + 0.6 * light.noise(rng, 24) + near - rng.uniform(2.6, 4.2), 0, 0.6)[..., None]
        face += (np.array((0.42, 0.25, 0.15), np.float32) * (1 + 0.15 * light.noise(rng, 20))[..., None] - face) * eaten * 1.3
    ink = np.array(DARK_INK if paint in LIGHT_PAINTS else LIGHT_INK, np.float32) / 255 * (1 + rng.uniform(-0.05, 0.03))
    face += (ink - face) * (written * light.worn(rng, rng.uniform(0, 0.5)))[..., None]
    return face


def _chalkboard(outline, written, paint, sun, rng):
    """A slate with a wooden frame, wiped before it was written on. [HEIGHT, WIDTH, 3]"""
    slate = np.array((0.20, 0.27, 0.23) if paint == "green" else (0.17, 0.175, 0.18), np.float32)
    wiped = np.clip(light.noise(rng, 3, 2.0) + 0.5 * light.noise(rng, 9, 4.0), 0, 2)
    face = slate + (0.035 * wiped + 0.012 * light.noise(rng, 40))[..., None]
    grain = np.clip(0.86 + 0.16 * light.noise(rng, 50) + 0.08 * light.noise(rng, 16), 0.35, 1)
    face += (np.array((0.90, 0.90, 0.86), np.float32) - face) * (written * grain)[..., None]
    face += (0.5 - face) * (0.16 * gaussian_filter(written, 2.2))[..., None]
    wood = planks(np.array((0.55, 0.38, 0.22), np.float32), sun, rng, pitch=90, gap=0, level=True)
    inner = np.clip((gaussian_filter(outline, 3.5) - 0.86) * 9, 0, 1)[..., None]
    return wood + (face - wood) * inner * 1.0


def _neon(picture, written, paint):
    """Tubes before a wall in the dark, which they light."""
    colour = np.clip(_colour(paint) * 1.2 + 0.06, 0, 1)
    near, far = gaussian_filter(written, 2.5), gaussian_filter(written, 11)
    lit = picture * (0.36 + 2.2 * far[..., None] * (0.25 + colour)) + 0.75 * colour * near[..., None] + 0.35 * colour * far[..., None]
    core = 0.72 + 0.28 * colour
    return lit + (core - lit) * (np.clip(written * 1.15 - 0.1, 0, 1))[..., None]


def _stencil(picture, written, paint, text, place, rng):
    """Sprayed on the wall through a stencil, whose bridges leave gaps."""
    bridges = Image.new("L", (WIDTH * _SCALE, HEIGHT * _SCALE))
    pen = ImageDraw.Draw(bridges)
    for line, slot, character in slots(text):
        if character in "ABDOPQR0469abdegopq8&":
            x = (LEFT + slot * SLOT + SLOT / 2) * _SCALE
            pen.rectangle((x - 2, top(line) * _SCALE, x + 2, (top(line) + LINE) * _SCALE), 255)
    mask = written * (1 - _shrink(bridges, place)) * light.worn(rng, rng.uniform(0.2, 0.9))
    mist = gaussian_filter(written, 3) * 0.18
    shade = picture / np.maximum(gaussian_filter(picture, (8, 8, 0)), 0.05)  # the wall's relief stays visible
    sprayed = np.clip(_colour(paint) * shade, 0, 1)
    return picture + (sprayed - picture) * np.clip(mask * 0.93 + mist, 0, 1)[..., None]


def _place(rng, freedom):
    """The board's map from its own pixels to the picture's, as eight numbers for PIL, at _SCALE; None for none."""
    if not (freedom.shift or freedom.turn or freedom.sway):
        return None
    corners = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], float)
    middle = np.array((WIDTH / 2, HEIGHT / 2))
    angle = np.radians(rng.uniform(-freedom.turn, freedom.turn))
    turned = (corners - middle) @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]) * rng.uniform(0.94, 1.0)
    moved = turned + middle + rng.uniform(-freedom.shift, freedom.shift, 2) + rng.uniform(-1, 1, (4, 2)) * freedom.sway * HEIGHT
    rows, values = [], []
    for (x, y), (u, v) in zip(moved * _SCALE, corners * _SCALE, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(values)))


def _shrink(image, place=None):
    """A drawing at _SCALE -> coverage [HEIGHT, WIDTH] in 0..1."""
    if place is not None:
        image = image.transform(image.size, Image.PERSPECTIVE, place, Image.BILINEAR)
    return np.asarray(image.reduce(_SCALE), np.float32) / 255


def _outline(shape, place, rng, two_lines):
    """(coverage of the board, of a painted line along its edge). [HEIGHT, WIDTH] each"""
    s = _SCALE
    wide, high = rng.uniform(94, 110), rng.uniform(44, 52) if two_lines else rng.uniform(32, 46)
    if shape == "oval":
        wide, high = rng.uniform(112, 120), rng.uniform(52, 57) if two_lines else rng.uniform(42, 52)
    fill, line = (Image.new("L", (WIDTH * s, HEIGHT * s)) for _ in range(2))

    def paint(image, inset, value):
        a, b = (wide - inset) * s, (high - inset) * s
        box = (WIDTH * s / 2 - a, HEIGHT * s / 2 - b, WIDTH * s / 2 + a, HEIGHT * s / 2 + b)
        pen = ImageDraw.Draw(image)
        if shape == "oval":
            pen.ellipse(box, value)
        else:
            pen.rounded_rectangle(box, (max(22 - inset, 4) if shape == "round" else max(3 - inset / 3, 0)) * s, value)

    paint(fill, 0, 255)
    inset = rng.uniform(3.5, 5)
    paint(line, inset, 255)
    paint(line, inset + rng.uniform(1.2, 1.8), 0)
    return _shrink(fill, place), _shrink(line, place)


@lru_cache(None)
def _font(face):
    from matplotlib import get_data_path  # matplotlib ships the face, so every machine draws the same letters

    return ImageFont.truetype(str(Path(get_data_path()) / f"fonts/ttf/{face}.ttf"), _EM * _SCALE)


@lru_cache(None)
def _glyph(character, face):
    """One character in its slot, squeezed to its width. An image of SLOT x LINE at _SCALE"""
    advance = round(_font(face).getlength("M"))
    natural = Image.new("L", (advance, LINE * _SCALE))
    ImageDraw.Draw(natural).text((advance / 2, (2 + _CAP) * _SCALE), character, 255, _font(face), anchor="ms")
    return natural.resize((SLOT * _SCALE, LINE * _SCALE), Image.BICUBIC)


def _written(text, face, place):
    """Coverage of the text's ink. [HEIGHT, WIDTH]"""
    s = _SCALE
    image = Image.new("L", (WIDTH * s, HEIGHT * s))
    for line, slot, character in slots(text):
        image.paste(_glyph(character, str(face)), ((LEFT + slot * SLOT) * s, top(line) * s))
    return _shrink(image, place)
