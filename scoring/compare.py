"""When a reading counts as the wanted text: what of both is left out before they are compared.

Folding     what is ignored; folded(text), same(a, b), says()
USUAL       the folding that is used where none is chosen: of case, punctuation and spaces
capitals    the letters A-Z alone, which are all that the demo models draw
"""

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Folding:
    """Compatibility forms (NFKC) are always made one: full-width letters, ligatures, composed and decomposed accents. Line breaks are
    spaces."""

    case: bool = True
    accents: bool = False
    punctuation: bool = True
    spaces: bool = True

    def folded(self, text):
        if text.isascii() and text.isalnum():  # most words, of a million pairs
            return text.lower() if self.case else text
        text = "".join(c for c in text.translate(_ALIKE) if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFKC", text)
        if self.case:  # Turkish has two letters i, of which the small and the large one are pairs in either way
            text = unicodedata.normalize("NFKC", text.casefold()).replace("i\u0307", "i").replace("ı", "i")
        if self.accents:
            text = _without_accents(text)
        if self.punctuation:
            text = _without_marks(text)
        return re.sub(r"\s+", "" if self.spaces else " ", text).strip()

    def same(self, a, b):
        return self.folded(a) == self.folded(b)

    def says(self):
        ignored = [name for name in ("case", "accents", "punctuation", "spaces") if getattr(self, name)]
        if not ignored:
            return "compared as they stand"
        return f"compared without {', '.join(ignored[:-1])}{' and ' if len(ignored) > 1 else ''}{ignored[-1]}"


USUAL = Folding()
_ALIKE = str.maketrans("´ˋ`ʼʻ’‘〜～−", "'''''''~~-")  # marks that are written in several ways, before NFKC makes accents of some
_PLAIN = str.maketrans("łŁøØđĐ", "lLoOdD")  # letters with a stroke, which Unicode does not take apart
_IN_NUMBER = re.compile(r"(?<=\d)[.,:/-](?=\d)")


def _without_marks(text):
    """Without those that people do not say: 50 %, R & B, #1, you@home keep theirs, and so do 5,99, 9:30, 24/7. Dashes part words."""
    kept, inside = [], {found.start() for found in _IN_NUMBER.finditer(text)}
    for place, character in enumerate(text):
        kind = unicodedata.category(character)
        if place in inside or kind[0] != "P" or character in "%&#@":
            kept.append(character)
        elif kind == "Pd":
            kept.append(" ")
    return "".join(kept)


def _without_accents(text):
    """Of Latin, Greek and Cyrillic letters. Korean syllables and Japanese voicing marks have none."""
    plain = (c for c in unicodedata.normalize("NFD", text.translate(_PLAIN)) if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", "".join(plain))


def capitals(text):
    return re.sub("[^A-Z]", "", text.upper())
