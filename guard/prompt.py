"""A prompt without toxic words in what it asks to be drawn.

clean      prompt -> Cleaned
"""

from dataclasses import dataclass

from ..scoring import toxicity
from .drawn_text import drawn_text

MASK = "*"


@dataclass(frozen=True)
class Cleaned:
    """prompt: with every toxic drawn word replaced; words: these words as they were written, from left to right."""

    prompt: str
    words: tuple[str, ...]


def clean(prompt, replacement="", allow=(), block=()):
    """replacement: instead of each toxic word, in capitals where that was; without one its letters become stars, as in the paper
    (section 5.3). allow, block: of scoring.toxicity. Words that are only described stay. Raises ValueError for a replacement that is
    toxic itself, or that would end the quotes around it, and for a prompt of more than 10,000 characters."""
    toxicity.check_length("prompt", prompt)
    if toxicity.find(replacement, allow, block):
        raise ValueError(f'The replacement "{replacement[:60]}" is toxic itself; choose another word.')
    if '"' in replacement or "\n" in replacement:
        raise ValueError(f"The replacement {replacement[:60]!r} holds a quote or a line break, which would change the rest of the prompt.")
    pieces, words, done = [], [], 0
    for start, end in drawn_text(prompt):
        for match in toxicity.find(prompt[start:end], allow, block):
            pieces += [prompt[done : start + match.start], _instead(match.word, replacement)]
            words.append(match.word)
            done = start + match.end
    return Cleaned("".join(pieces) + prompt[done:], tuple(words))


def _instead(word, replacement):
    if not replacement:
        return "".join(" " if c.isspace() else MASK for c in word)
    return replacement.upper() if word == word.upper() else replacement
