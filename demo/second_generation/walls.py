"""Walls of the second generation's pictures: brick, wood, plaster, concrete and fabric in eight colours.

wall      a material in a colour, lit by a sun -> [HEIGHT, WIDTH, 3] in 0..1
planks    boards side by side with their grain, for walls and for signs
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .light import HEIGHT, WIDTH, noise, relief

MATERIALS = ("brick", "wood", "plaster", "concrete", "fabric")
WALL_COLOURS = {
    "red": (158, 68, 56),
    "orange": (198, 122, 70),
    "yellow": (212, 180, 104),
    "green": (96, 128, 92),
    "blue": (84, 118, 154),
    "purple": (122, 94, 134),
    "white": (216, 211, 200),
    "black": (62, 61, 64),
}
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


def wall(material, colour, sun, rng):
    """Painted in `colour`, a name of WALL_COLOURS."""
    tone = np.array(WALL_COLOURS[colour], np.float32) / 255 * (1 + rng.uniform(-0.06, 0.06, 3).astype(np.float32))
    return {"brick": _brick, "wood": _wood, "plaster": _plaster, "concrete": _concrete, "fabric": _fabric}[material](tone, sun, rng)


def _brick(tone, sun, rng):
    high, long, joint = rng.uniform(13, 19), rng.uniform(34, 48), rng.uniform(1.3, 2.2)
    y = _Y + rng.uniform(0, high) + 0.5 * noise(rng, 6)
    row = np.floor(y / high).astype(int)
    x = _X + rng.uniform(0, long) + np.where(row % 2, long / 2, 0) + 0.6 * noise(rng, 8)
    column = np.floor(x / long).astype(int)
    inside = np.minimum(np.minimum(y % high, high - y % high), np.minimum(x % long, long - x % long))
    brick = np.clip((inside - joint / 2) / 1.2 + 0.25 * noise(rng, 30), 0, 1)
    tones = rng.normal(0, 1, (64, 64, 4)).astype(np.float32)[row % 64, column % 64]
    face = tone * (1 + 0.10 * tones[..., 3:] + 0.025 * tones[..., :3]) * (1 + 0.06 * noise(rng, 34) + 0.05 * noise(rng, 7))[..., None]
    dark = tone.mean() < 0.35
    mortar = (0.35 * tone + (0.16 if dark else 0.42)) * (1 + 0.06 * noise(rng, 30))[..., None]
    picture = mortar + (face - mortar) * brick[..., None]
    height = gaussian_filter(brick, 0.7) * 1.5 + 0.12 * noise(rng, 44)
    return picture * relief(height, sun, rng.uniform(0.15, 0.32))[..., None]


def planks(tone, sun, rng, pitch, gap, level):
    """Boards of a tone, `pitch` pixels wide, with dark gaps; level: they lie, otherwise they stand."""
    across, along = (_Y, _X) if level else (_X, _Y)
    at = across + rng.uniform(0, pitch)
    number = np.floor(at / pitch).astype(int)
    edge = np.minimum(at % pitch, pitch - at % pitch)
    each = rng.normal(0, 1, (64, 5)).astype(np.float32)[number % 64]
    lengthwise = noise(rng, 26, 9.0) if level else noise(rng, 3.5, 0.07)
    bend = noise(rng, 3) * 2.2
    rings = at % pitch + bend + 1.6 * each[..., 0] + along * 0.02 * each[..., 1]
    grain = np.sin(rings * (0.75 + 0.15 * each[..., 2]) + 2.5 * each[..., 0])
    fleck = 0.045 * grain * (0.6 + 0.4 * noise(rng, 5)) + 0.05 * lengthwise
    face = tone * (1 + 0.07 * each[..., 3:4]) * (1 + fleck + 0.04 * noise(rng, 5))[..., None]
    bare = np.clip(lengthwise + 0.7 * noise(rng, 9) - rng.uniform(1.6, 3), 0, 0.6)[..., None]
    face = face + (np.array((0.50, 0.38, 0.27), np.float32) - face) * bare * 0.8
    dark = np.clip(1 - (edge - gap) / 1.1, 0, 1)
    height = np.clip(edge / 2.2, 0, 1) + 0.35 * fleck
    return face * (1 - 0.6 * dark)[..., None] * relief(height, sun, 0.22)[..., None]


def _wood(tone, sun, rng):
    return planks(tone, sun, rng, pitch=rng.uniform(20, 34), gap=rng.uniform(0.3, 0.9), level=rng.random() < 0.6)


def _plaster(tone, sun, rng):
    height = 0.8 * noise(rng, 10, 1.5) + 0.45 * noise(rng, 26, 1.3)
    stain = np.clip(noise(rng, 3) + 0.4 * noise(rng, 10) - 1.0, 0, 1.2)
    picture = tone * (1 + 0.045 * noise(rng, 4) + 0.02 * noise(rng, 20) - 0.12 * stain)[..., None]
    if rng.random() < 0.5:  # paint has come off
        off = np.clip((noise(rng, 4) + 0.5 * noise(rng, 14) + 0.25 * noise(rng, 34) - rng.uniform(1.6, 2.4)) * 4, 0, 1)
        under = np.array((0.62, 0.57, 0.50), np.float32) * (1 + 0.06 * noise(rng, 24))[..., None]
        picture = picture + (under - picture) * off[..., None]
        height = height - 1.1 * gaussian_filter(off, 0.7)
    return picture * relief(height, sun, 0.14)[..., None]


def _concrete(tone, sun, rng):
    picture = tone * (1 + 0.06 * noise(rng, 4) + 0.05 * noise(rng, 12) + 0.035 * noise(rng, 40))[..., None]
    run = np.clip(noise(rng, 2.2, 0.06) - 0.6, 0, 2) * np.clip(1.1 - _Y / HEIGHT * rng.uniform(0.6, 1.4), 0, 1)
    picture = picture * (1 - 0.13 * run)[..., None]
    pores = np.clip(noise(rng, 46) - 2.1, 0, 1)
    joints = np.zeros((HEIGHT, WIDTH), np.float32)
    pitch, start = rng.uniform(90, 170), rng.uniform(0, 90)
    for x in np.arange(start, WIDTH, pitch):
        joints += np.exp(-(((_X - x) / 0.9) ** 2))
    level = rng.uniform(-40, 170)
    joints += np.exp(-(((_Y - level) / 0.9) ** 2))
    height = -1.2 * joints - 0.9 * pores + 0.25 * noise(rng, 30)
    return picture * (1 - 0.35 * np.clip(joints, 0, 1))[..., None] * relief(height, sun, 0.2)[..., None]


def _fabric(tone, sun, rng):
    pitch = rng.uniform(3.6, 5.2)
    wave = noise(rng, 3) * 1.5
    warp = np.cos(2 * np.pi * (_X + wave + rng.uniform(0, 9)) / pitch)
    weft = np.cos(2 * np.pi * (_Y + wave + rng.uniform(0, 9)) / pitch)
    weave = 0.5 * (warp * (0.8 + 0.3 * noise(rng, 30, 0.3)) + weft * (0.8 + 0.3 * noise(rng, 30, 3.0)))
    folds = noise(rng, 1.6, 0.35) * 3 + noise(rng, 2.5, 0.5)
    picture = tone * (1 + 0.07 * weave + 0.05 * noise(rng, 4) + 0.03 * noise(rng, 30, 4.0))[..., None]
    return picture * relief(gaussian_filter(folds, 1.5), sun, 0.9 * rng.uniform(0.5, 1.4))[..., None]
