"""What an edit did to the words and to the rest of a picture.

measure     source, target and edited picture -> Edit
Edit        readings, boxes and numbers; `report()` tells them
Masked      what an edit did inside and outside of a mask
"""

import math
from dataclasses import dataclass

import numpy as np

from . import image, text
from .compare import USUAL, Folding
from .lines import text_of
from .ocr import check
from .words import find_words, share_a_place

_WORDS = ("f1", "precision", "recall", "paper_accuracy", "agreement", "similarity", "exact")
_NAMES = {"paper_accuracy": "OCR accuracy (the paper's)", "agreement": "sorted letters in place", "paper_ssim": "SSIM (the paper's)"}
_PICTURES = ("psnr", "ssim", "paper_ssim", "mse")
_COVERED = 0.1  # share of a word's box from which on it is a word of the mask


@dataclass(frozen=True)
class Masked:
    """share: of the picture that the mask covers. inside, outside: as Edit's whole, of the edited picture. others: (text before, text
    after) of every word outside of the mask, "" where there is none; touched: of every other. A word is where it was before."""

    share: float
    inside: dict
    outside: dict
    others: tuple
    touched: tuple

    def report(self, folding):
        lines = []
        for name, values in (("inside", self.inside), ("outside", self.outside)):
            lines.append(f"edited against source, {name} the mask: {', '.join(_number(key, values[key]) for key in _PICTURES)}")
        lines.append(f"The mask covers {self.share:.1%} of the picture.")
        changed = [(a, b) for a, b in self.others if not _same(a, b, folding)]
        if not self.others:
            lines.append("No text was read outside the mask.")
        else:
            lines.append(f"Texts outside the mask: {len(self.others) - len(changed)} of {len(self.others)} read as before.")
        lines += [f"  {_became(a, b)}" for a, b in changed]
        if self.touched:
            told = (f'"{a}" reads as before' if _same(a, b, folding) else _became(a, b) for a, b in self.touched)
            lines.append(f"Texts that the mask touches: {', '.join(told)}.")
        return lines


def _same(before, after, folding):
    """Marks alone fold to nothing, and are still there or gone."""
    return bool(before) == bool(after) and folding.same(before, after)


def _became(before, after):
    return f'"{before}" reads "{after}" now' if before and after else f'"{before}" is gone' if before else f'"{after}" is new'


@dataclass(frozen=True)
class Edit:
    """read: {"source", "edited" and, where there is one, "target": text that OCR found, lines and all}.
    words: {the same names: {"f1", "precision", "recall", "paper_accuracy" (the paper's), "agreement", "similarity", "exact": 0 to 1}},
    against `wanted`, both folded as `folding` says.
    boxes: of all words that were found, (left, top, right, bottom).
    whole, background: {"edited" or "target": {"psnr" in dB, "ssim", "paper_ssim", "mse"}}, against the source; None for what the size does
    not allow.
    masked: where a mask was given.
    """

    wanted: str
    folding: Folding
    read: dict
    words: dict
    boxes: tuple
    whole: dict
    background: dict
    masked: Masked | None = None

    def report(self):
        lines = []
        for name, read in self.read.items():
            numbers = ", ".join(f"{_NAMES.get(key, key)} {value:.2f}" for key, value in self.words[name].items())
            said = " / ".join(read.splitlines())
            wanted = f', wanted is "{self.wanted}", {self.folding.says()}: {numbers}'
            lines.append(f'{name}: reads "{said}"' + (wanted if name != "source" else ""))
        for where, found in (("whole picture", self.whole), ("background", self.background)):
            for name, values in found.items():
                numbers = ", ".join(_number(key, values[key]) for key in _PICTURES)
                lines.append(f"{name} against source, {where}: {numbers}")
        if not self.boxes:
            lines.append("No word was found in any picture: the background is the whole picture.")
        if self.masked is not None:
            lines += self.masked.report(self.folding)
        return "\n".join(lines)


def _number(key, value):
    name = _NAMES.get(key, key.upper())
    if value is None:
        return f"{name} not defined here"
    if key == "psnr":
        return "the same, PSNR infinite" if math.isinf(value) else f"PSNR {value:.2f} dB"
    return f"{name} {value:.4f}"


def measure(source, edited, wanted, ocr, target=None, folding=USUAL, mask=None):
    """source, edited, target: as scoring.words takes them, of one size; target: what the target prompt draws by itself; mask: [H, W], more
    than 0 where the edit was meant to change something; wanted: the text that the edit should show; ocr: of scoring.ocr; folding: what
    does not count when texts are compared. The background is what lies outside the boxes of all words in all pictures. Of several grounds
    the numbers are means.

    Raises ValueError for pictures and masks of different size, a wanted text of which nothing is left to compare and one that cannot be
    read.
    """
    word = folding.folded(wanted)
    if not word:
        raise ValueError(f'Nothing of the wanted text "{wanted[:60]}" is left to be compared: it needs a letter or a digit.')
    check(ocr, "the wanted text", wanted)
    pictures = {"source": source, "edited": edited} | ({"target": target} if target is not None else {})
    channels = _beside(pictures)
    for picture in channels.values():
        image.mse(channels["source"], picture)  # raises for another size
    if mask is not None and mask.shape != channels["edited"].shape[:2]:
        size, own = (" x ".join(map(str, shape[1::-1])) for shape in (mask.shape, channels["edited"].shape))
        raise ValueError(f"The mask is {size} and the pictures {own} pixels: connect the mask of these pictures.")
    found = {name: find_words(ocr, picture) for name, picture in pictures.items()}
    read = {name: text_of(words) for name, words in found.items()}
    boxes = tuple(f.box for words in found.values() for f in words)
    source = channels.pop("source")
    return Edit(
        wanted,
        folding,
        read,
        {name: {key: float(getattr(text, key)(folding.folded(r), word)) for key in _WORDS} for name, r in read.items()},
        boxes,
        {name: _compare(source, picture, ()) for name, picture in channels.items()},
        {name: _compare(source, picture, boxes) for name, picture in channels.items()},
        None if mask is None else _masked(source, channels["edited"], found["source"], found["edited"], np.asarray(mask) > 0),
    )


def _masked(source, edited, before, after, mask):
    """before, after: the words of both pictures."""

    def is_outside(word):
        left, top, right, bottom = word.box
        place = mask[max(0, top) : bottom, max(0, left) : right]
        return not place.size or place.mean() < _COVERED

    others, touched = [], []
    for word in before:
        there = [other for other in after if share_a_place(word.box, other.box)]
        (others if is_outside(word) else touched).append((word.text, " ".join(other.text for other in there)))
    for word in after:
        if not any(share_a_place(word.box, other.box) for other in before):
            (others if is_outside(word) else touched).append(("", word.text))
    return Masked(float(mask.mean()), _compare(source, edited, ~mask), _compare(source, edited, mask), tuple(others), tuple(touched))


def _beside(pictures):
    """{name: [H, W, 3 x grounds]}: the grounds of each picture side by side as channels, of which the measures are means, and as many for
    all: an opaque picture looks the same on every ground."""
    pictures = {name: picture.reshape(-1, *picture.shape[-3:]) for name, picture in pictures.items()}
    most = max(map(len, pictures.values()))
    return {name: np.concatenate(list(picture) * (most // len(picture)), -1) for name, picture in pictures.items()}


def _compare(a, b, boxes):
    values = {}
    for key in _PICTURES:
        try:
            values[key] = getattr(image, key)(a, b, boxes)
        except ValueError:  # the boxes cover everything, or leave no window of structural similarity
            values[key] = None
    return values


def change(source, edited, boxes):
    """Mean absolute difference of the colours, on all grounds, [H, W], 0 to 1, and nothing inside the boxes."""
    source, edited = _beside({"source": source, "edited": edited}).values()
    difference = np.abs(source.astype(float) - edited).mean(-1) / 255
    difference[image.inside(source.shape, boxes)] = np.nan
    return difference
