"""Word pairs and the prompts made of them.

parse_pairs    "CAFE, HOTEL" a line -> pairs
check_readable that an engine reads their words
check_template a prompt with {word}
DEFAULT        pairs that ship: everyday words of 3 to 6 letters, a third of them of equal length
"""

import csv
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ..scoring.compare import USUAL
from ..scoring.ocr import check

DEFAULT = Path(__file__).with_name("default_pairs.csv").read_text("utf-8")
WORD = "{word}"
_LINES = 10_000  # some hundredths of a second


@dataclass(frozen=True)
class WordPair:
    """source: the text whose picture is kept; target: the text that is wanted. As they are written; case does not count when pictures are
    read."""

    source: str
    target: str

    @property
    def equal_length(self):
        return len(self.source) == len(self.target)


def parse_pairs(text, tell=lambda: None):
    """The pairs of a text, one a line, source and target separated by a comma, a semicolon or a tab; quotes hold what has one of these
    inside. Empty lines, lines that begin with # and a heading `source,target` do not count. tell() is called every _LINES lines. Raises
    ValueError that says which line is wrong."""
    lines = text.removeprefix("\ufeff").replace(",\t", ", ").splitlines()
    separator = _separator([line for line in lines if line.strip() and not line.lstrip().startswith("#")][:_LINES])
    pairs = {}  # by what of them counts, in their order; a search for doubles in a list would take hours for a million
    for number, line in enumerate(lines, 1):
        if number % _LINES == 0:
            tell()
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        words = _split(line, separator)
        if tuple(map(str.lower, words)) == ("source", "target"):
            continue
        folded = tuple(map(USUAL.folded, words))
        if problem := _problem(words, folded) or (folded in pairs and "this pair is there already."):
            raise ValueError(f'Word pairs, line {number} ("{line[:60]}"): {problem}')
        pairs[folded] = words
    if not pairs:
        raise ValueError("There are no word pairs. Write one a line, source and target separated by a comma, such as CAFE, HOTEL.")
    return [WordPair(*words) for words in pairs.values()]


def check_readable(pairs, reader):
    """reader: an engine of scoring.ocr. Raises ValueError for a word that it does not read."""
    for word in {word for pair in pairs for word in (pair.source, pair.target)}:
        check(reader, "the word pairs' word", word)


def _separator(lines):
    """What parts most lines in two. Raises ValueError where two do so in all of them."""
    parted = {mark: sum(len(_split(line, mark)) == 2 for line in lines) for mark in ",;\t"}
    best = max(parted, key=lambda mark: parted[mark])  # the first of equals
    others = [mark for mark in parted if mark != best and parted[mark] == len(lines) > 0]
    if others:
        raise ValueError(
            f'Word pairs: "{lines[0].strip()[:60]}" and all other lines could be parted at "{best}" and at "{others[0]}". Put texts that '
            "hold one of them in quotes."
        )
    return best


def _split(line, separator):
    try:
        words = next(csv.reader([line], delimiter=separator, skipinitialspace=True)) if '"' in line else line.split(separator)
    except csv.Error:  # a text of more than 131,072 characters
        words = [line]
    return tuple([" ".join(_bare(word.strip()).split()) for word in words])


def _bare(word):
    """Without a pair of quotes around all of it."""
    return word[1:-1].strip() if len(word) > 1 and word[0] == word[-1] == "'" else word


def _problem(words, folded):
    if len(words) != 2:
        return "expected two words separated by a comma, such as CAFE, HOTEL."
    for word, counts in zip(words, folded, strict=True):
        if not counts:
            return f'nothing of "{word}" can be read: it needs letters or digits.'
        if len(counts) < 2:
            return f'"{word}" is too short to be read reliably; use words of two letters or more.'
        if broken := [c for c in word if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn")]:
            return f'"{word}" holds the character U+{ord(broken[0]):04X}, which cannot be drawn.'
    return "both words are the same when they are read, so that there is nothing to find." if folded[0] == folded[1] else None


def check_template(template):
    """Returns the template; raises ValueError unless it says where the word goes."""
    if WORD not in template:
        raise ValueError(f'The prompt template does not say where the word goes: write {WORD} in it, such as: a sign that says "{WORD}"')
    return template
