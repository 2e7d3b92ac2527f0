"""A folder of pictures with captions.

read_folder    pictures and captions
bucket         a size of about so many pixels for a picture's own proportions
"""

import logging
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ..scoring.image import check_size
from .captions import read_captions

_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
# What macOS, Synology, QNAP, Windows and Jupyter put beside people's files: ._a.png, @eaDir, .ipynb_checkpoints
_SYSTEM = {"__MACOSX", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"}
_SEEN = 16  # of 255: less contrast than this is one plain colour


def read_folder(folder, size=None):
    """(pictures, captions): ComfyUI's IMAGEs [1, height, width, 3] and what each shows. size: (width, height) to scale and crop to, or a
    function that gives it for a picture's own (width, height).

    Captions: see read_captions. Transparent pictures are put on white, or on black where nothing of them is seen on white, which
    is logged. Hidden files and systems' own folders do not count. Raises ValueError for a folder without pictures, a picture without a
    caption, a caption without its picture, a file that is no picture, and what read_captions refuses.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES and not _is_system(path.relative_to(folder)))
    if not paths:
        raise ValueError(f"{folder} holds no pictures ({', '.join(sorted(_PICTURES))}).")
    captions = read_captions(folder, paths)
    bare = [path.name for path in paths if path not in captions]
    if bare:
        raise ValueError(f"{len(bare)} of {len(paths)} pictures in {folder} have no caption, {bare[0]} for one.")
    grounds = {}
    pictures = [_picture(path, size, grounds) for path in paths]
    for ground, names in grounds.items():
        logging.warning("Text layers: %d transparent pictures, %s for one, are put on %s.", len(names), names[0], ground)
    return pictures, [captions[path] for path in paths]


def bucket(width, height, own, step=64):
    """(width, height) in multiples of `step`, not more pixels than width x height, with the proportions of `own` as near as may be; of
    those as near, the largest."""
    sizes = [(w, width * height // w // step * step) for w in range(step, 4 * max(width, height) + 1, step)]
    sizes = [size for size in sizes if size[1]]
    if not sizes:
        raise ValueError(f"{width} x {height} pixels are too few for buckets, whose sides are multiples of {step}.")
    return min(sizes, key=lambda s: (abs(math.log(s[0] / s[1] * own[1] / own[0])), -s[0] * s[1]))


def _is_system(name):
    return any(part.startswith(".") or part in _SYSTEM for part in name.parts) or any(part.startswith("@") for part in name.parts[:-1])


def _picture(path, size, grounds):
    """grounds: {ground: [names of the pictures that were put on it]}, added to."""
    try:
        with Image.open(path) as file:
            check_size(str(path), *file.size)
            image = _opaque(_eight_bits(ImageOps.exif_transpose(file)), path.name, grounds)
    except (OSError, SyntaxError):  # the second is pillow's for a damaged PNG
        raise ValueError(f"{path} is no picture, or damaged.") from None
    except Image.DecompressionBombError:  # so large that pillow does not even open it
        raise ValueError(f"{path} has far more pixels than a picture to train on. Scale it down, or take it away.") from None
    if size:
        image = ImageOps.fit(image, size(image.size) if callable(size) else size, Image.LANCZOS)
    return torch.from_numpy(np.array(image, np.float32) / 255)[None]


def _eight_bits(image):
    """Pillow keeps 16 bits of grey, in a mode of 16 or 32 bits by version, and its convert() would make white of all but the darkest."""
    return Image.fromarray((np.asarray(image, np.float32) / 257).round().astype(np.uint8)) if image.mode.startswith("I") else image


def _opaque(image, name, grounds):
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB")
    on = {ground: Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB") for ground in ("white", "black")}
    ground = "white" if _shows(on["white"]) or not _shows(on["black"]) else "black"
    grounds.setdefault(ground, []).append(name)
    return on[ground]


def _shows(image):
    return any(most - least >= _SEEN for least, most in image.getextrema())
