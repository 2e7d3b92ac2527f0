"""EasyOCR without running what stands in a file: it unpickles its weights with weights_only=False.

safe_reader   a subclass of easyocr.Reader that looks into each file of weights before EasyOCR loads it

EasyOCR itself compares the files with their published MD5.
"""

from pathlib import Path


def safe_reader(easyocr):
    """easyocr: the module. The class raises ValueError for a file that holds more than tensors, and runs nothing of it."""

    class Reader(easyocr.Reader):
        # Both are called between a file's download and its loading.
        def initDetector(self, detector_path):
            _check(detector_path)
            return super().initDetector(detector_path)

        def setLanguageList(self, lang_list, model):
            _check(Path(self.model_storage_directory) / model["filename"])
            return super().setLanguageList(lang_list, model)

    return Reader


def _check(path):
    import torch

    try:
        torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:  # of unpickling, of archives, of what is in them
        raise ValueError(
            f"EasyOCR's file {Path(path).name} is damaged, or holds more than weights: it is not loaded. Delete it, and EasyOCR downloads "
            f"it again. ({str(error).splitlines()[0][:100] if str(error) else type(error).__name__})"
        ) from None
