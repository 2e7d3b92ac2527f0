"""An edit that leaves all pixels outside of the changed text as they were: a VAE alone moves them.

mask         where two latents differ, as a soft mask of pixels
composite    the edit there, the source elsewhere
"""

import torch
from torch.nn import functional


def mask(source, edited, height, width, edge):
    """[B, height, width], 0 to 1. source, edited: latents [B, C, H, W] or [B, C, T, H, W], of which one may be a single picture; edge:
    pixels inside of the changed place over which the mask rises."""
    different = (source != edited).any(1)
    while different.ndim > 3:
        different = different.any(1)
    squares = functional.interpolate(different[:, None].float(), (height, width), mode="nearest")
    if edge:
        # Even outside there is none of it: a square's own border is where the average over a window begins to be more than a half.
        mean = functional.avg_pool2d(functional.pad(squares, (edge,) * 4, mode="replicate"), 2 * edge + 1, 1)
        squares = squares * (2 * mean - 1).clamp(0, 1)
    return squares[:, 0]


def composite(source, edited, mask):
    """[B, H, W, C] in 0 to 1: where the mask is 0 the source's very numbers. mask: [B, H, W]."""
    mask = mask[..., None].to(edited)
    return torch.where(mask == 0, source.to(edited), torch.lerp(source.to(edited), edited, mask))
