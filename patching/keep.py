"""What is kept of the source's picture while a target's text is drawn: all but the place of the text.

Keep    one sampling run's: the source's latents, and a mask of where the changed text is drawn

The place is seen while the run goes on, from how much each token of the picture attends to the tokens of the changed text in the text
layers. Where these cannot be known, it is where the target changes what the model predicts first. Of the place, what the model then
predicts like the source's picture is the source's. Outside the run goes along the source's own path, and ends in its latents.
"""

import torch
from torch.nn import functional

# Shares of a picture's largest value at which a mask begins, and is whole; chosen on words of the demo models' training.
ATTENTION = 0.15, 0.40
PREDICTION = 0.05, 0.20
CHANGE = 0.10, 0.25


class Keep:
    """latents: the source's, as LATENT holds them, [B, C, H, W] or [B, C, T, H, W]; model: ComfyUI's BaseModel; begins: the latents to
    which the sampler adds noise, as the model has them; held: the sampler's own noise mask, 0 where it holds these latents itself.

    A run that begins at the source itself draws over a picture that need not be the model's own, a photograph: it takes the commonest
    colour that the source has at the text's place."""

    def __init__(self, latents, model, begins=None, held=None):
        self._latents = latents
        self._source = model.process_latent_in(latents)
        self._held = held
        self._began = None  # how far from the source its path was when it was first seen, and at which noise level
        self._match = begins is not None and begins.shape == latents.shape and torch.equal(begins.to(self._source), self._source)
        self._seen = {}  # number of a picture -> attention to the changed text so far, [T, H, W]
        self._place = None  # of the text, [B, T, H, W], 0 to 1
        self.mask = None  # what of it has become another picture, [B, 1, ...] as the latents

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
        """Whether attention has said of every picture where its text is."""
        return len(self._seen) == len(self._latents)

    def look(self):
        """Takes the place of the text from the attention so far."""
        seen = torch.stack([self._seen[picture] for picture in range(len(self._latents))])
        self._place = _grown(_rising(seen, *ATTENTION))

    def compare(self, own, patched):
        """Takes it from what the model predicts without and with the target's text."""
        self._place = _grown(_rising(self._difference(own, patched), *PREDICTION))

    @property
    def placed(self):
        return self._place is not None

    def into(self, x, sigma):
        """The sampler's latents with the source's outside of the mask, at this noise level.

        The source's path leads from where it was first seen (where the sampler has begun, or another one has stopped) to the source, in
        proportion to the noise level, whatever the noise is scaled by. ComfyUI's scale_latent_inpaint is no help: models that are told
        each frame's own noise level keep a noise mask's outside clean, and here they are told that it has noise.
        """
        source, level = self._source.to(x), sigma.to(x).reshape(-1, *(1,) * (x.ndim - 1))
        if self._began is None:
            self._began = x - source, level
        if self.mask is None:
            return x
        mask = self.mask.to(x)
        if self._held is not None:
            mask = torch.where(self._held.to(x) == 0, 1, mask)
        far, first = (value.to(x) for value in self._began)
        return x * mask + (source + far * torch.where(first == 0, 0, level / first)) * (1 - mask)

    def out(self, denoised):
        """What the model has made of them, likewise: with the source where it is not the text's place, or as good as the source."""
        place = self._place
        if place is None:
            return denoised
        source = self._source.to(denoised)
        if self._match:
            denoised = self._matched(denoised, source, place)
        changed = _rising(self._difference(denoised, source) * place, *CHANGE)
        self.mask = self._shaped(place * changed)
        mask = self.mask.to(denoised)
        return denoised * mask + source * (1 - mask)

    def end(self, drawn):
        """The run's latents, as LATENT holds them: outside of the mask the source's very numbers."""
        return drawn if self.mask is None else torch.where(self.mask.to(drawn) == 0, self._latents.to(drawn), drawn)

    @property
    def _frames(self):
        return self._latents.shape[2] if self._latents.ndim == 5 else 1

    def _difference(self, a, b):
        """[B, T, H, W], the mean over channels and neighbours."""
        difference = (a - b).float().abs().mean(1).view(len(a), self._frames, *self.shape[-2:])
        return functional.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)

    def _matched(self, denoised, source, place):
        out = denoised.clone()
        for picture, frames_place in enumerate(place.to(denoised)):
            for frame, at in enumerate(frames_place):
                frames = [x[picture].reshape(x.shape[1], self._frames, *at.shape)[:, frame] for x in (out, source)]
                inside = at > 0.5
                if inside.any():
                    shift = _mode(frames[1][:, inside]) - _mode(frames[0][:, inside])
                    frames[0] += at * shift[:, None, None]
        return out

    def _shaped(self, mask):
        """[B, T, H, W] -> as the latents, with one channel."""
        return mask[:, None] if self._latents.ndim == 5 else mask


def _mode(values, rounds=10):
    """[C]: the commonest of [C, n] values, by mean shift from their median."""
    found = values.median(1).values
    width = (values - found[:, None]).square().sum(0).mean().sqrt() / 2 + 1e-6
    for _ in range(rounds):
        weights = torch.exp(-(values - found[:, None]).square().sum(0) / (2 * width**2))
        found = (values * weights).sum(1) / weights.sum()
    return found


def _rising(values, low, high):
    """[B, T, H, W] -> 0 to 1, between two shares of each picture's largest value."""
    values = values / values.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return ((values - low) / (high - low)).clamp(0, 1)


def _grid(tokens, frames, height, width):
    """(rows, columns) of the picture's tokens, each of which stands for a square of latents; None where they are no such grid.

    Models halve a picture, once or several times. Other squares would fit by chance alone: on tokens that stand for two frames each."""
    factor = 1
    while factor <= min(height, width):
        rows, columns = -(-height // factor), -(-width // factor)
        if frames * rows * columns == tokens:
            return rows, columns
        factor *= 2
    return None


def _grown(mask):
    """By one latent on each side."""
    return functional.max_pool2d(mask, 3, 1, 1)
