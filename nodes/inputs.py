"""What comes into a node, as the rest of the pack takes it.

read_images    an IMAGE
entries        a list that a user writes

ocr_input, language_input    what reads the pictures, declared
"""

import csv

from comfy_api.latest import io

from ..scoring.image import check_size, on_grounds
from ..scoring.languages import BUILT_IN, LANGUAGES
from ..scoring.ocr import ENGINES, default_engine


def read_images(name, batch):
    """[n, grounds, H, W, 3] uint8 of an IMAGE: see on_grounds. Raises ValueError that calls the input by `name`, for none and for broken
    ones."""
    if not batch.numel():
        raise ValueError(f"{name} holds no picture.")
    check_size(name, batch.shape[-2], batch.shape[-3])
    if not batch.isfinite().all():
        raise ValueError(f"{name} has values that are no numbers: the sampler or the VAE that made it has failed.")
    return on_grounds(batch)


def entries(text):
    """ "one, two" -> ("one", "two"), with commas or lines between; quotes hold what has a comma itself."""
    rows = [_row(line) for line in text.splitlines()]
    return tuple(entry.strip() for row in rows for entry in row if entry.strip())


def ocr_input(reads):
    """reads: what the engine does at this node, a sentence's beginning."""
    return io.Combo.Input(
        "ocr",
        options=list(ENGINES),
        default=default_engine(),
        tooltip=f"{reads}. RapidOCR reads better and is several times as fast, EasyOCR is the paper's.",
    )


def language_input():
    return io.Combo.Input(
        "language",
        options=list(LANGUAGES),
        default=BUILT_IN,
        optional=True,
        tooltip="What is written. built in: Latin letters, Chinese and Japanese with RapidOCR, English with EasyOCR. Others "
        "download what they lack, once, with a bar on the node.",
    )


def _row(line):
    """Where a quote is not closed it is a character like others."""
    try:
        return next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error:
        return line.split(",")
