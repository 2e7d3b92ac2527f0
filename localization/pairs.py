"""Word pairs and the prompts made of them.

parse_pairs    "CAFE, HOTEL" a line -> pairs
check_template a prompt with {word}
DEFAULT        pairs that ship: everyday words of 3 to 6 letters, a third of them of equal length
"""

import re
from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path(__file__).with_name("default_pairs.csv").read_text("utf-8")
WORD = "{word}"
_WORD = re.compile("[A-Z]+")
_LINES = 10_000  # some hundredths of a second


@dataclass(frozen=True)
class WordPair:
    """source: the word whose picture is kept; target: the word that is wanted. Capital letters A-Z, as OCR reads them."""

    source: str
    target: str

    @property
    def equal_length(self):
        return len(self.source) == len(self.target)


def parse_pairs(text, tell=lambda: None):
    """The pairs of a text, one a line, source and target separated by a comma; empty lines, lines that begin with # and a
    heading `source,target` do not count. tell() is called every _LINES lines. Raises ValueError that says which line is wrong."""
    pairs = {}  # (source, target) in their order; a search for doubles in a list would take hours for a million
    for number, line in enumerate(text.splitlines(), 1):
        if number % _LINES == 0:
            tell()
        line = line.strip()
        words = tuple([word.strip().strip("\"'").upper() for word in line.split(",")])
        if not line or line.startswith("#") or words == ("SOURCE", "TARGET"):
            continue
        if problem := _problem(words) or (words in pairs and "this pair is there already."):
            raise ValueError(f'Word pairs, line {number} ("{line[:60]}"): {problem}')
        pairs[words] = None
    if not pairs:
        raise ValueError("There are no word pairs. Write one a line, source and target separated by a comma, such as CAFE, HOTEL.")
    return [WordPair(*words) for words in pairs]


def _problem(words):
    if len(words) != 2:
        return "expected two words separated by a comma, such as CAFE, HOTEL."
    for word in words:
        if not _WORD.fullmatch(word):
            return "words are read by OCR and must be of the letters A to Z."
        if len(word) < 2:
            return "a single letter is too short to be read reliably; use words of two letters or more."
    return "both words are the same, so that there is nothing to find." if words[0] == words[1] else None


def check_template(template):
    """Returns the template; raises ValueError unless it says where the word goes."""
    if WORD not in template:
        raise ValueError(f'The prompt template does not say where the word goes: write {WORD} in it, such as: a sign that says "{WORD}"')
    return template
