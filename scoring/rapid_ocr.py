"""RapidOCR: PP-OCR on the CPU."""

import logging
from functools import lru_cache

import numpy as np

from .downloads import fetched
from .languages import BUILT_IN, LANGUAGES
from .ocr_engine import Engine, not_installed, unread

_ON_END = 1.5  # times as high as wide; such texts are read along, too
_SEEN = 48  # pixels of height that the recognizer sees
_DOUBTFUL = 0.8  # confidence; below, a text may stand on its head


class RapidOcr(Engine):
    """The weights for Latin letters, Chinese and Japanese are in its package; others are downloaded into models/ocr."""

    name, packages = "RapidOCR", ("rapidocr", "onnxruntime")
    tile, coarse, sure = 1152, 960, 0.5

    def __init__(self, language=BUILT_IN):
        try:
            from rapidocr import RapidOCR
        except ImportError:
            raise ImportError(not_installed(self.name, "rapidocr onnxruntime")) from None
        self.language = language
        # Its detector would enlarge every picture to 736 pixels, several times the time for no better reading.
        level = logging.getLogger("RapidOCR").level
        self._reader = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Det.limit_type": "max",
                "Det.limit_side_len": self.coarse,
                **_weights(language),
            }
        )
        logging.getLogger("RapidOCR").setLevel(max(level, logging.ERROR))

    def read_whole(self, picture):
        found = self._look(picture)
        if not found or any(sure < _DOUBTFUL or _is_short(corners) for corners, _, sure in found):
            found = _best(found + self._look(picture, turned=True) + self._look(picture, smaller=2))
        return found

    def _look(self, picture, turned=False, smaller=1):
        """[(corners, text, confidence)]. Letters on end are seen as a text in a picture that is turned, very large ones in a small one."""
        import cv2

        height, width = picture.shape[:2]
        if min(height, width) < 32 * smaller:  # the detector's grid
            return []
        seen = np.ascontiguousarray(np.rot90(picture)) if turned else picture
        if smaller > 1:
            seen = cv2.resize(seen, None, fx=1 / smaller, fy=1 / smaller, interpolation=cv2.INTER_AREA)
        found = []
        for corners in self.detect(seen):
            corners = np.asarray(corners, float) * smaller
            if turned:
                corners = np.stack([width - corners[:, 1], corners[:, 0]], 1)
            corners, text, sure = self.recognize(picture, corners)
            if text and not (turned and (len(text) < 2 or _is_short(corners))):  # an N is a Z there
                found.append((corners, text, sure))
        return found

    def detect(self, picture):
        boxes = self._read(picture, words=False).boxes
        return [] if boxes is None else boxes

    def recognize(self, picture, corners):
        cut = _cut(picture, corners)
        height, width = cut.shape[:2]
        turn, (text, sure) = 0, self._say(cut)
        turns = (1, 3) if height >= _ON_END * width else (2,) if sure < _DOUBTFUL else ()
        for other in turns:
            said = self._say(np.rot90(cut, other))
            if said[1] > sure and (other == 2 or len(said[0]) > 1):  # a letter alone stands upright
                turn, (text, sure) = other, said
        return np.roll(corners, -turn, 0), text if sure >= self.sure else "", sure

    def unknown(self, text):
        return unread(text, self._characters())

    @lru_cache(None)  # noqa: B019
    def _characters(self):
        if self._reader.text_rec is None:
            self._read(np.full((48, 48, 3), 255, np.uint8), boxes=False)
        recognizer = self._reader.text_rec
        assert recognizer is not None  # it is loaded with the first text
        return frozenset(recognizer.postprocess_op.character)

    def _say(self, cut):
        """(text, confidence)"""
        found = self._read(cut, boxes=False)
        return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)

    def _read(self, picture, boxes=True, words=True):
        """What is left out once is left out until it is asked for again, so that all is said each time."""
        return self._reader(np.ascontiguousarray(picture[..., ::-1]), use_det=boxes, use_rec=words)  # it expects blue, green, red


def _weights(language):
    """RapidOCR's parameters that say which it reads with. Raises ImportError where its version knows none."""
    model = LANGUAGES[language].rapidocr
    if model is None:
        return {}
    from pathlib import Path

    import folder_paths

    try:
        from rapidocr.inference_engine.base import FileInfo, InferSession
        from rapidocr.utils.typings import EngineType, LangRec, ModelType, OCRVersion, TaskType

        kind = (OCRVersion.PPOCRV5, TaskType.REC, LangRec(model), ModelType.MOBILE)
        about = InferSession.get_model_url(FileInfo(EngineType.ONNXRUNTIME, *kind))
    except (ImportError, AttributeError, KeyError, ValueError):
        raise ImportError(f"This RapidOCR has no model for {language}. Run in ComfyUI's Python: pip install --upgrade rapidocr") from None
    address = about["model_dir"]
    path = Path(folder_paths.models_dir) / "ocr" / address.rsplit("/", 1)[-1]
    fetched(path, address, ("sha256", about["SHA256"]), f"RapidOCR's model for {language}", "ComfyUI's folder models/ocr")
    return {"Rec.model_path": str(path), "Rec.ocr_version": kind[0], "Rec.lang_type": kind[2], "Rec.model_type": kind[3]}


def _cut(picture, corners):
    """What lies between the corners (from the upper left one clockwise), as an upright rectangle."""
    import cv2

    corners = np.asarray(corners, np.float32)
    sides = np.linalg.norm(corners - np.roll(corners, -1, 0), axis=1)
    width, height = max(1, int(max(sides[0], sides[2]))), max(1, int(max(sides[1], sides[3])))
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen = cv2.getPerspectiveTransform(corners, upright)
    cut = cv2.warpPerspective(picture, seen, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lines = min(width, height)
    if lines > _SEEN:  # the recognizer itself would take every second pixel or so, and lose accents
        size = (max(1, round(width * _SEEN / lines)), max(1, round(height * _SEEN / lines)))
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    return cut


def _is_short(corners):
    return np.linalg.norm(corners[1] - corners[0]) < _ON_END * np.linalg.norm(corners[2] - corners[1])


def _best(found):
    """Of those that share a place the one of which most is read."""
    kept = []
    for one in sorted(found, key=lambda one: -len(one[1]) * one[2]):
        if not any(_share_a_place(one[0], other) for other, _, _ in kept):
            kept.append(one)
    return kept


def _share_a_place(a, b):
    """Whether half of the smaller one lies in the other."""
    import cv2

    a, b = (np.asarray(corners, np.float32) for corners in (a, b))
    common, _ = cv2.intersectConvexConvex(a, b)
    return 2 * common > min(cv2.contourArea(a), cv2.contourArea(b))
