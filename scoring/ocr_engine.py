"""What an OCR engine is.

Engine      its base: find and read
Found       a text, where it is and how sure the engine is
"""

import math
import unicodedata
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

import numpy as np
from PIL import Image

from .lines import in_order, text_of
from .tiles import find_in_tiles

_LONGEST = 4096  # pixels; no side is enlarged beyond, or a strip would fill the memory
_SLIM = 32  # both engines fail on pictures that are many times as long as wide; these are read with a margin


@dataclass(frozen=True)
class Found:
    """box: (left, top, right, bottom) in the picture's own pixels, right and bottom exclusive; confidence: 0 to 1; corners: ((x, y), ...)
    of the text, from where it begins above its first letter clockwise, as it is read; None: those of the box."""

    text: str
    box: tuple[int, int, int, int]
    confidence: float
    corners: tuple | None = None


class Engine:
    """What differs: what is declared here and, for pictures with a side longer than `tile`, what else tiles.find_in_tiles asks for."""

    name: str
    language: str
    tile: int
    packages: tuple[str, ...]  # whose versions decide what is read

    @property
    def version(self):
        """Of the packages, which other names may have (onnxruntime-gpu)."""
        return ", ".join(f"{name} {getattr(import_module(name), '__version__', None) or version(name)}" for name in self.packages)

    def read_whole(self, picture):
        """[(corners, text, confidence)] of a picture [H, W, 3] that is not larger than `tile`."""
        raise NotImplementedError

    def unknown(self, text):
        """The characters of a text that it cannot read."""
        raise NotImplementedError

    def find(self, picture, enlarge=1):
        """picture: [H, W, 3] uint8; enlarge: small pictures are read this much larger. In reading order."""
        height, width = picture.shape[:2]
        enlarge = max(1, min(enlarge, _LONGEST // max(height, width)))
        margin = [(0, max(0, math.ceil(longer / _SLIM) - side)) for side, longer in ((height, width), (width, height))]
        image = Image.fromarray(np.pad(picture, (*margin, (0, 0)), "edge"))
        image = image.resize((image.width * enlarge, image.height * enlarge), Image.Resampling.BICUBIC)
        found = [_found(text, np.asarray(corners, float) / enlarge, sure) for corners, text, sure in self._find(np.asarray(image))]
        return in_order([f for f in found if _is_text(f.text)])

    def _find(self, picture):
        import comfy.model_management

        if max(picture.shape[:2]) <= self.tile:
            return self.read_whole(picture)
        return find_in_tiles(picture, self, comfy.model_management.throw_exception_if_processing_interrupted)

    def read(self, picture, enlarge=1):
        return text_of(self.find(picture, enlarge))


def composed(text):
    return unicodedata.normalize("NFC", text).strip()


def unread(text, characters):
    """A character counts as read where the one that it is compared as is."""
    unknown = {c for c in composed(text) if unicodedata.category(c)[0] in "LNS" and c not in characters}
    return {c for c in unknown if not all(part in characters or part.isspace() for part in unicodedata.normalize("NFKC", c))}


def not_installed(name, packages):
    return f"{name}, which reads the drawn words, is not installed. Run in ComfyUI's Python: pip install {packages}"


def _is_text(text):
    """More than strokes and dots, which every engine finds on rough ground."""
    return any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Sc" or c in "&!?%#@+" for c in text)


def _found(text, corners, sure):
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    return Found(composed(text), (int(left), int(top), int(right), int(bottom)), float(sure), tuple(map(tuple, corners.tolist())))
