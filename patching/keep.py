"""What is kept of the source's picture while a target's text is drawn: all but the place of the text.

Keep    one sampling run's: the source's latents, and a mask of where the changed text is drawn

The mask is seen while the run goes on, from how much each place of the picture attends to the tokens of the changed text in the text
layers. Where these cannot be known, it is where the target changes what the model predicts. Outside of it the run goes along the
source's own path, and ends in the source's latents.
"""

import torch
from torch.nn import functional

FROM, TO = 0.15, 0.40  # share of the picture's largest attention at which the mask begins, and is whole


class Keep:
    """latents: the source's, as LATENT holds them, [B, C, H, W] or [B, C, T, H, W]; model: ComfyUI's BaseModel; noise: the run's."""

    def __init__(self, latents, model, noise):
        self._latents = latents.to(noise)
        self._source = model.process_latent_in(self._latents)
        self._scale, self._noise = model.scale_latent_inpaint, noise
        self._seen = {}  # number of a picture -> attention to the changed text so far, [T, H, W]
        self.mask = None  # [B, 1, ...] as the latents

    @property
    def shape(self):
        """[H, W] of the latents, or [T, H, W]."""
        return self._latents.shape[2:]

    def see(self, picture, shares):
        """shares: [tokens of the picture], attention of each to the changed text in one layer. Returns whether they fit on the picture."""
        grid = _grid(len(shares), self._frames, *self.shape[-2:])
        if grid is None:
            return False
        shown = functional.interpolate(shares.view(1, -1, *grid).float(), self.shape[-2:], mode="bilinear", align_corners=False)[0]
        self._seen[picture] = self._seen.get(picture, 0) + shown
        return True

    @property
    def seen(self):
        return len(self._seen) == len(self._latents)

    def look(self):
        """Makes the mask of what was seen so far."""
        seen = torch.stack([self._seen[picture] for picture in range(len(self._latents))])
        seen = seen / seen.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
        self.mask = self._shaped(_grown(((seen - FROM) / (TO - FROM)).clamp(0, 1)))

    def compare(self, own, patched):
        """Makes the mask of what the model predicts without and with the target's text."""
        difference = (patched - own).float().abs().mean(1)
        difference = difference.view(len(own), self._frames, *self.shape[-2:])
        difference = functional.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)
        difference = difference / difference.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
        self.mask = self._shaped(_grown(((difference - FROM) / (TO - FROM)).clamp(0, 1)))

    def into(self, x, sigma):
        """The sampler's latents with the source's outside of the mask, at this noise level."""
        if self.mask is None:
            return x
        mask = self.mask.to(x)
        source = self._scale(x=x, sigma=sigma, noise=self._noise.to(x), latent_image=self._source.to(x))
        return x * mask + source * (1 - mask)

    def out(self, denoised):
        """What the model has made of them, likewise."""
        if self.mask is None:
            return denoised
        mask = self.mask.to(denoised)
        return denoised * mask + self._source.to(denoised) * (1 - mask)

    def end(self, drawn):
        """The run's latents, as LATENT holds them: outside of the mask the source's very numbers."""
        return drawn if self.mask is None else torch.where(self.mask.to(drawn) == 0, self._latents.to(drawn), drawn)

    @property
    def _frames(self):
        return self._latents.shape[2] if self._latents.ndim == 5 else 1

    def _shaped(self, mask):
        """[B, T, H, W] -> as the latents, with one channel."""
        return mask[:, None] if self._latents.ndim == 5 else mask


def _grid(tokens, frames, height, width):
    """(rows, columns) of the picture's tokens, each of which stands for a square of latents; None where they are no such grid."""
    for factor in range(1, min(height, width) + 1):
        rows, columns = -(-height // factor), -(-width // factor)
        if frames * rows * columns == tokens:
            return rows, columns
    return None


def _grown(mask):
    """By one latent on each side."""
    return functional.max_pool2d(mask, 3, 1, 1)
