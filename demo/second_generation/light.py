"""Light, shadow and wear on the second generation's pictures. All arrays are [HEIGHT, WIDTH] and about 0 or 1.

noise          smooth noise of unit variance
Sun            where the light comes from
relief         a height map -> how the light falls on it
shadow         what a board's outline keeps the light from
bevel          light on a board's edges
worn           how much of a paint is left
photograph     the scene's light, and the camera's -> uint8
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT = 256, 128


def noise(rng, cells, across=1.0):
    """`cells` blotches down the picture's height; `across` times as long from left to right."""
    shape = (max(int(cells) + 3, 4), max(int(cells * 2 / across) + 3, 4))
    grid = Image.fromarray(rng.standard_normal(shape).astype(np.float32))
    dy, dx = rng.uniform(0, 1, 2)
    box = (dx, dy, shape[1] - 2 + dx, shape[0] - 2 + dy)
    smooth = np.asarray(grid.resize((WIDTH, HEIGHT), Image.BICUBIC, box))
    return smooth / 0.6  # a bicubic mean of neighbours has about this deviation


@dataclass(frozen=True)
class Sun:
    """x, y: where the light comes from, of length 1; warm: how much redder than daylight; hard: how sharp shadows are."""

    x: float
    y: float
    warm: float
    hard: float

    @classmethod
    def random(cls, rng):
        angle = rng.uniform(np.radians(200), np.radians(340))  # always from above
        return cls(np.cos(angle), np.sin(angle), rng.uniform(-0.05, 0.12), rng.uniform(0, 1))


NIGHT = Sun(0.0, -1.0, 0.0, 0.0)


def relief(height, sun, strength):
    """Factors about 1: slopes towards the sun are lighter."""
    gy, gx = np.gradient(height)
    return np.clip(1 - strength * (gx * sun.x + gy * sun.y) * -1, 0.55, 1.45)


def shadow(outline, sun, rng):
    far = rng.uniform(3, 9)
    moved = np.roll(outline, (round(-sun.y * far), round(-sun.x * far)), (0, 1))
    return gaussian_filter(moved, 1.5 + far * (1.1 - sun.hard) * 0.5)


def bevel(outline, sun):
    soft = gaussian_filter(outline, 1.0)
    gy, gx = np.gradient(soft)
    return 1 - 1.1 * (gx * sun.x + gy * sun.y)


def worn(rng, amount):
    """1 where the paint is whole, less where it is rubbed off."""
    rubbed = noise(rng, 14) + 0.8 * noise(rng, 40, 1.6)
    return 1 - np.clip((rubbed - 3.2 + 2.2 * amount) * 0.5, 0, 0.55)


def photograph(picture, sun, rng):
    """Linear-ish colours in 0..1 -> uint8."""
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH, dtype=np.float32), np.linspace(-1, 1, HEIGHT, dtype=np.float32))
    glow = 1 + rng.uniform(0.02, 0.16) * (x * sun.x + y * sun.y)
    glow = glow - rng.uniform(0.02, 0.14) * (x * x + 0.6 * y * y)
    if rng.random() < 0.25:  # a lamp above
        cx, wide = rng.uniform(-0.5, 0.5), rng.uniform(0.5, 1.0)
        glow = glow * (0.82 + 0.42 * np.exp(-(((x - cx) / wide) ** 2) - ((y + 1.1) / 1.3) ** 2))
    if rng.random() < 0.3:  # the shadow of something outside the picture
        slope, offset, wide = rng.uniform(-1.5, 1.5), rng.uniform(-1, 1), rng.uniform(0.1, 0.45)
        distance = np.abs(x + slope * y * 0.5 - offset) - wide
        glow = glow * (1 - rng.uniform(0.12, 0.3) * (0.5 - 0.5 * np.tanh(distance / rng.uniform(0.04, 0.16))))
    tint = np.array((1 + sun.warm, 1 + 0.25 * sun.warm, 1 - 0.8 * sun.warm), np.float32)
    lit = picture * glow[..., None] * tint * rng.uniform(0.92, 1.08)
    lit = np.where(lit > 0.8, 0.8 + 0.2 * np.tanh((lit - 0.8) / 0.2), lit)
    return (lit * 255).clip(0, 255).round().astype(np.uint8)
