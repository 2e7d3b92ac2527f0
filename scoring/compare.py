"""When a reading counts as the wanted text: what of both is left out before they are compared.

Folding     what is ignored; folded(text), says()
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
        text = unicodedata.normalize("NFKC", text)
        if self.case:
            text = unicodedata.normalize("NFKC", text.casefold())
        if self.accents:
            text = _without_accents(text)
        if self.punctuation:
            text = "".join(map(_unmarked, text))
        return re.sub(r"\s+", "" if self.spaces else " ", text).strip()

    def says(self):
        ignored = [name for name in ("case", "accents", "punctuation", "spaces") if getattr(self, name)]
        if not ignored:
            return "compared as they stand"
        return f"compared without {', '.join(ignored[:-1])}{' and ' if len(ignored) > 1 else ''}{ignored[-1]}"


USUAL = Folding()


def _unmarked(character):
    """Nothing of a mark, but of those that people say: 50 %, R & B, #1, you@home. A dash parts words."""
    kind = unicodedata.category(character)
    return " " if kind == "Pd" else "" if kind[0] == "P" and character not in "%&#@" else character


def _without_accents(text):
    """Of Latin, Greek and Cyrillic letters. Korean syllables and Japanese voicing marks have none."""
    plain = (c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", "".join(plain))


def capitals(text):
    return re.sub("[^A-Z]", "", text.upper())
