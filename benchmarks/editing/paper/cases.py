"""Which prompts are drawn and which words are exchanged.

of_template    the paper's template with pairs of words
of_prompts     a file of prompts whose drawn word stands in quotes, as in SimpleBench and CreativeBench
signs          the demo models' prompts with words that they were not trained on
"""

import re
from dataclasses import dataclass

from ....demo import edit
from ....localization.pairs import WORD, check_template
from ...localization.searches import held_out_pairs

TEMPLATE = f'A sign that says "{WORD}".'
SIGNS = ("word", "word and colours")


@dataclass(frozen=True)
class Case:
    source: str
    target: str
    source_word: str
    target_word: str


def of_template(template, pairs):
    check_template(template)
    return [Case(template.replace(WORD, p.source), template.replace(WORD, p.target), p.source, p.target) for p in pairs]


def of_prompts(text, pairs):
    """The first quoted words of each line give way to a pair's. Raises ValueError for a line without any."""
    found = []
    for number, line in enumerate(line.strip() for line in text.splitlines() if line.strip()):
        template, count = re.subn(r"""(["“<])[^"”>]+(["”>])""", rf'"{WORD}"', line, count=1)
        if not count:
            raise ValueError(f"Line {number + 1} has no words in quotes: {line}")
        found += of_template(template, [pairs[number % len(pairs)]])
    return found


def signs(kind, count, seed):
    """Half of the pairs are of equal length; no word comes twice."""
    drawn = [edit.sign_pair(p.source, p.target, seed, kind == "word") for p in held_out_pairs(count, seed)]
    return [Case(a.prompt(), b.prompt(), a.word, b.word) for a, b in drawn]
