"""What comes into a node, as the rest of the pack takes it.

read_images    an IMAGE
entries        a list that a user writes
"""

import csv

from ..scoring.image import check_size, on_grounds


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


def _row(line):
    """Where a quote is not closed it is a character like others."""
    try:
        return next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error:
        return line.split(",")
