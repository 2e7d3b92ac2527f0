"""Edits as a moving picture: the sources turn into the edits and back."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _GAP, _HEAD = "#f4f4f2", "#22242a", 8, 30
_COLUMNS, _BLENDS = 3, 6
_HOLD, _STEP = 1400, 60  # milliseconds


def save_animation(rows, path, enlarge):
    """rows: [(source, edit)] of pictures [H, W, 3] uint8; path: of a GIF; enlarge: picture -> PIL's picture."""
    pairs = [tuple(enlarge(picture) for picture in row) for row in rows]
    shares = [0.0, *((1 - math.cos(math.pi * n / (_BLENDS + 1))) / 2 for n in range(1, _BLENDS + 1)), 1.0]
    frames = [_frame(pairs, share) for share in (*shares, *shares[-2:0:-1])]
    # One palette for all frames: with their own ones, grounds that stay would flicker.
    strip = Image.fromarray(np.concatenate([np.asarray(frames[0]), np.asarray(frames[len(shares) - 1])]))
    palette = strip.quantize(256, Image.Quantize.MEDIANCUT)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [_HOLD if n in (0, len(shares) - 1) else _STEP for n in range(len(frames))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


def _frame(pairs, share):
    """share: of the edit in it, from 0 to 1."""
    width, height = pairs[0][0].size
    columns = min(_COLUMNS, len(pairs))
    lines = math.ceil(len(pairs) / columns)
    frame = Image.new("RGB", (_GAP + columns * (width + _GAP), _HEAD + lines * (height + _GAP)), _PAPER)
    said = "the prompt's picture" if share < 0.5 else "another prompt in the text layers, the rest kept"
    ImageDraw.Draw(frame).text((_GAP, 6), said, _INK, ImageFont.load_default(16))
    for n, (source, edit) in enumerate(pairs):
        at = (_GAP + n % columns * (width + _GAP), _HEAD + n // columns * (height + _GAP))
        frame.paste(Image.blend(source, edit, share), at)
    return frame
