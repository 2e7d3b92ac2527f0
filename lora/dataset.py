"""A folder of pictures with captions, in the forms of the usual trainers.

read_folder    pictures and captions
bucket         a size of about so many pixels for a picture's own proportions
"""

import csv
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ..scoring.image import check_size

_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
_SIDECARS = (".txt", ".caption")  # kohya's and others'
_COLUMNS = ("text", "caption", "prompt")  # of metadata.jsonl and metadata.csv, diffusers'


def read_folder(folder, size=None):
    """(pictures, captions): ComfyUI's IMAGEs [1, height, width, 3] and what each shows. size: (width, height) to scale and crop to, or a
    function that gives it for a picture's own (width, height).

    Captions: a metadata.jsonl or metadata.csv with the columns file_name and text, caption or prompt; otherwise a .txt or .caption file
    beside each picture. Raises ValueError for a folder without pictures, a picture without a caption, a caption without its picture, and
    a file that is no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)
    if not paths:
        raise ValueError(f"{folder} holds no pictures ({', '.join(sorted(_PICTURES))}).")
    captions = _from_table(folder, paths) or {path: _beside(path) for path in paths}
    bare = [path.name for path in paths if captions.get(path) is None]
    if bare:
        raise ValueError(f"{len(bare)} of {len(paths)} pictures in {folder} have no caption, {bare[0]} for one.")
    return [_picture(path, size) for path in paths], [captions[path] for path in paths]


def bucket(width, height, own, step=64):
    """(width, height) in multiples of `step`, not more pixels than width x height, with the proportions of `own` as near as may be; of
    those as near, the largest."""
    sizes = [(w, width * height // w // step * step) for w in range(step, 4 * max(width, height) + 1, step)]
    sizes = [size for size in sizes if size[1]]
    if not sizes:
        raise ValueError(f"{width} x {height} pixels are too few for buckets, whose sides are multiples of {step}.")
    return min(sizes, key=lambda s: (abs(math.log(s[0] / s[1] * own[1] / own[0])), -s[0] * s[1]))


def _from_table(folder, paths):
    """{path: caption} of a metadata file; {} where there is none."""
    for name in ("metadata.jsonl", "metadata.csv"):
        table = folder / name
        if table.is_file():
            lines = [line for line in table.read_text("utf-8-sig").splitlines() if line.strip()]
            try:
                rows = csv.DictReader(lines) if name.endswith("csv") else map(json.loads, lines)
                captions = {folder / row["file_name"]: next(row[column] for column in _COLUMNS if column in row) for row in rows}
            except (ValueError, KeyError, StopIteration, TypeError):
                raise ValueError(f"{table} should have file_name and {', '.join(_COLUMNS[:-1])} or {_COLUMNS[-1]} in each line.") from None
            absent = [path.name for path in captions if path not in paths]
            if absent:
                raise ValueError(f"{table} names {absent[0]}, which is not in the folder.")
            return captions
    return {}


def _beside(path):
    found = [path.with_suffix(suffix) for suffix in _SIDECARS if path.with_suffix(suffix).is_file()]
    return found[0].read_text("utf-8-sig").strip() if found else None


def _picture(path, size):
    try:
        with Image.open(path) as opened:
            check_size(str(path), *opened.size)
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except OSError:
        raise ValueError(f"{path} is no picture, or damaged.") from None
    except Image.DecompressionBombError:  # so large that pillow does not even open it
        raise ValueError(f"{path} has far more pixels than a picture to train on. Scale it down, or take it away.") from None
    if size:
        image = ImageOps.fit(image, size(image.size) if callable(size) else size, Image.LANCZOS)
    return torch.from_numpy(np.array(image, np.float32) / 255)[None]
