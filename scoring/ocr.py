"""Reading drawn words off pictures.

ENGINES        their names: EasyOCR, the paper's; RapidOCR, several times as fast
engine         an engine by name and language, made once a process
default_engine the name of the better one of those that are installed
check          whether an engine can read a wanted text
enlargement    how much larger a picture should be read

An engine has `name`, `language`, `find(picture, enlarge)` -> [Found] in reading order, `read(picture, enlarge)` -> their text with its
lines, and `unknown(text)` -> the characters that it cannot read. What is read stays as it stands;
scoring.compare says what counts as the same.
"""

import math
from functools import lru_cache
from importlib.util import find_spec

from .easy_ocr import EasyOcr
from .languages import BUILT_IN, language_of
from .rapid_ocr import RapidOcr

_LEGIBLE = 128  # pixels; OCR reads smaller pictures enlarged to this height
ENGINES = {kind.name: kind for kind in (EasyOcr, RapidOcr)}


def enlargement(height):
    """height: of a picture in pixels; small ones are read this much larger."""
    return max(1, math.ceil(_LEGIBLE / height))


@lru_cache(None)
def engine(name, language=BUILT_IN):
    """language: of LANGUAGES. Raises ImportError that says what to install, ConnectionError where weights cannot be downloaded."""
    return ENGINES[name](language)


def default_engine():
    """The one that reads best (docs/reading.md) of those that are installed, for nodes that are placed anew."""
    return RapidOcr.name if find_spec("rapidocr") and find_spec("onnxruntime") else EasyOcr.name


def check(reader, what, text):
    """Raises ValueError for characters of a wanted text that the engine never reads, so that it would never be found."""
    if unknown := reader.unknown(text):
        raise ValueError(
            f'{reader.name} does not read {" ".join(sorted(unknown))}, which {what} "{text[:60]}" has. {_way(reader, text, unknown)}'
        )


def _way(reader, text, unknown):
    language = language_of("".join(unknown))
    if language not in (None, reader.language):
        return f"Choose the language {language}."
    others = [name for name in ENGINES if name != reader.name and _reads(name, text)]
    return f"Choose {others[0]}, which does." if others else "Take a text without them."


def _reads(name, text):
    try:
        return not engine(name).unknown(text)
    except (ImportError, ConnectionError):  # not installed, or without weights
        return False
