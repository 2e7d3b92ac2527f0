"""How a sampling run comes to know where its changed text is drawn, so that all else can be kept.

Watch        of one run: looks at the attention of the text layers and hands it to its Keep
check_kept   that the latents which should be kept fit the run
"""

import torch

from .attention import share
from .comfy import beside_caches, foreign_state, random_state
from .drawn import DRAWN, changed
from .keep import Keep

LOOKS = 4  # evaluations of the sampler in which attention is looked at; more do not move the place, and take time


def check_kept(patches, noise):
    """Raises ValueError for latents of another size than the run's, and for several patches that should keep different ones."""
    kept = [patch.keep for patch in patches if patch.keep is not None]
    for latents in kept:
        if not torch.is_tensor(noise) or not torch.is_tensor(latents):
            raise ValueError("The picture to keep, or the sampler's, is several latents at once (a video with sound): they cannot be kept.")
        if latents.shape != noise.shape:
            raise ValueError(
                f"The latents to keep are {_size(latents)}, and this sampler draws {_size(noise)}. Connect the LATENT that the source's "
                "sampler gives, drawn with the same latent image and seed."
            )
        if not torch.equal(latents.to(kept[0]), kept[0]):
            raise ValueError("Two Patch Prompt Into Layers should keep different pictures: give both the same LATENT, or only one of them.")


def _size(latents):
    return f"{len(latents)} of {' x '.join(map(str, latents.shape[1:]))}"


class Watch:
    """keep: Keep; bare: whether the model is called without the target's text just now, to see what the text changes."""

    def __init__(self, keep, tokens):
        """tokens: {patch: {entry: [(tokens of the source, of the target), one or one for each picture]}}, each as (numbers, length of the
        embedding)."""
        self.keep, self._tokens, self.bare = keep, tokens, False
        self._looks = 0

    @classmethod
    def of(cls, patches, guider, noise, latent_image, denoise_mask, counts):
        """None where nothing should be kept."""
        latents = next((patch.keep for patch in patches if patch.keep is not None), None)
        if latents is None:
            return None
        source = guider.conds.get("positive", [])[: counts.get("positive", 0)]
        tokens = {patch: _tokens(source, patch.target["positive"]) for patch in patches}
        return cls(Keep(latents.to(noise), guider.inner_model, latent_image, denoise_mask), tokens)

    def predict(self, model, x, sigma):
        """model(x) where the text is drawn, the source's latents elsewhere."""
        x = self.keep.into(x, sigma)
        patched = model(x)
        if self.keep.seen and self._looks < LOOKS:
            self.keep.look()
            self._looks += 1
        elif not self.keep.placed:
            self.bare = True
            try:
                with random_state(x.device):
                    self.keep.compare(model(x), patched)
            finally:
                self.bare = False
        return self.keep.out(patched)

    def beside(self, modules, call):
        """Options for a call without the target's text. Raises RuntimeError where another node would take it for one of the sampler's."""
        if state := foreign_state(call.options, modules.all(call.diffusion_model)):
            raise RuntimeError(
                f"Another node may remember the calls of the model ({state}), and keeping the picture needs one beside the sampler's own, "
                "because it is not known which tokens of the prompts are the drawn text. Encode both prompts with Replace Drawn Words, "
                "remove the other node, or disconnect keep."
            )
        return beside_caches(call.options)

    def seeing(self, patch, call, before):
        """A function of (rows of the call that have a target, their attention with the source's text, with the target's); None where
        places cannot be told. before: {entry: how many of its rows came before in this evaluation}."""
        tokens = self._tokens.get(patch)
        if not tokens or self._looks == LOOKS or not call.in_order or call.x.shape[2:] != self.keep.shape:
            return None
        pictures = {row: (entry, before[entry] + n) for entry, rows in call.groups().items() for n, row in enumerate(rows)}

        def see(rows, source, target):
            alike = {}  # tokens -> [(place among the rows, picture)]
            for place, row in enumerate(rows):
                entry, picture = pictures[row]
                if entry in tokens:
                    alike.setdefault(tokens[entry][picture % len(tokens[entry])], []).append((place, picture))
            for of, found in alike.items():
                places = [place for place, _ in found]
                sides = [_share(side.rows(places), *known) for side, known in zip((source, target), of, strict=True)]
                if not any(side is None for side in sides):
                    for (_, picture), shares in zip(found, torch.maximum(*sides), strict=True):
                        self.keep.see(picture, shares)

        return see


def _tokens(source, target):
    """{("positive", number): [((tokens, length), (tokens, length)), ...]} of entries whose changed tokens are known. source, target:
    entries as a run has them."""
    found = {}
    for number, entry in enumerate(source if target is not None else ()):
        other = target[number if len(target) > 1 else 0]
        known = entry.get(DRAWN) or [], other.get(DRAWN) or []
        rows = max(map(len, known))
        if any(len(side) not in (1, rows) for side in known):
            continue
        pairs = [changed(*(side[row % len(side)] for side in known)) for row in range(rows)]
        lengths = [side["cross_attn"].shape[1] for side in (entry, other)]
        if pairs and None not in pairs:
            found["positive", number] = [tuple((tuple(side), length) for side, length in zip(pair, lengths, strict=True)) for pair in pairs]
    return found


def _share(attention, tokens, length):
    """[B, tokens of the picture]; None where an attention's text is not the embedding, once or repeated."""
    repeated, rest = divmod(attention.tokens, length)
    if rest:
        return None
    return share(attention, [token + n * length for n in range(repeated) for token in tokens])
