"""Which languages OCR reads, and with which weights.

LANGUAGES      {name: Language}; BUILT_IN first
language_of    the one that a text needs besides BUILT_IN
"""

import unicodedata
from dataclasses import dataclass

BUILT_IN = "built in"


@dataclass(frozen=True)
class Language:
    """easyocr: its languages; rapidocr: the name of its PP-OCRv5 model, None: the model in its package, for Latin letters, Chinese and
    Japanese."""

    easyocr: tuple
    rapidocr: str | None = None


# fmt: off
_LATIN = (
    "en", "de", "fr", "es", "pt", "it", "nl", "pl", "cs", "sk", "hu", "ro", "hr", "sl", "tr", "az", "da", "sv", "no", "et", "lv", "lt",
)
# fmt: on
LANGUAGES = {
    BUILT_IN: Language(("en",)),
    "Latin letters": Language(_LATIN),
    "Chinese": Language(("ch_sim", "en")),
    "Japanese": Language(("ja", "en")),
    "Korean": Language(("ko", "en"), "korean"),
    "Cyrillic letters": Language(("ru", "uk", "be", "bg", "en"), "cyrillic"),
}
_SCRIPTS = {"HANGUL": "Korean", "CYRILLIC": "Cyrillic letters"}


def language_of(text):
    """None where it is no single one."""
    needed = {_SCRIPTS.get(unicodedata.name(c, "").split(" ")[0]) for c in unicodedata.normalize("NFC", text)}
    return needed.pop() if len(needed) == 1 else None
