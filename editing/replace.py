"""Other words in a prompt.

replaced     prompt and replacements -> the prompt with the new words
parsed       what a user writes as replacements
"""

import json
import re
from dataclasses import dataclass

from ..patching.drawn import drawn_texts, is_json

_ARROW = re.compile(r"\s*(?:->|→|=>)\s*")
# What leads to a drawn text, and goes with it when it is taken away.
_LEAD = re.compile(
    r"""[\s,]*(?:\b(?:that|which|and|it)\s+)?(?:\b(?:says?|saying|reads?|reading|written|spelling|spells|labell?ed|named|called)
    |\bwith\s+(?:the\s+|a\s+)?(?:words?|text|letters|lettering|inscription|label|title|slogan|caption)(?:\s+(?:of|saying|reading))?
    |\bthe\s+(?:words?|text|letters|inscription))?[\s:,]*$""",
    re.X | re.I,
)
_QUOTES = set("\"“”„«»「」『』'‘’")
_LONGEST = 60  # characters of a text in a message


@dataclass(frozen=True)
class Replacement:
    """old: None for the prompt's only drawn text; new: "" takes it away."""

    old: str | None
    new: str


def parsed(text):
    """ "OPEN -> CLOSED", one a line, or the new text alone; \\n stands for a new line. Raises ValueError that names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [_unquoted(part).replace("\\n", "\n") for part in _ARROW.split(line.strip())]
        if len(parts) > 2:
            raise ValueError(f'Line {number} of the replacements has several arrows: "{line.strip()}". Write one replacement a line.')
        if len(parts) == 2 and not parts[0]:
            raise ValueError(f'Line {number} of the replacements has nothing before the arrow: "{line.strip()}". Write OLD -> NEW.')
        found.append(Replacement(*parts) if len(parts) == 2 else Replacement(None, parts[0]))
    if not found:
        raise ValueError("There is nothing to replace: write OLD -> NEW, one a line, or the new text alone.")
    return found


def replaced(prompt, replacements):
    """(the prompt with new words, [(old text, new text)] of each drawn text that was changed).

    A replacement's old words are a whole drawn text (all that are the same change), or words inside of one. All of them are found in the
    prompt as it was. Raises ValueError, with the prompt's drawn texts, for words that are in none of them, that are in several, or that
    two replacements share, for new words with a quote at which the drawn text would end, and where nothing would change.
    """
    texts = drawn_texts(prompt)
    if not texts:
        raise ValueError('The prompt has no drawn text: put the words that the picture shows in quotes, like a sign that says "OPEN".')
    changes = {}  # number of a drawn text -> [(start, end, new)] inside it
    for replacement in replacements:
        for number, start, end in _places(replacement, texts):
            taken = changes.setdefault(number, [])
            if any(start < other_end and other_start < end for other_start, other_end, _ in taken):
                raise ValueError(f"Two replacements change the same words, {_quoted(texts[number][0][start:end])}. {_listed(texts)}")
            taken.append((start, end, replacement.new))
    out, told = prompt, []
    wanted = [text for text, _, _ in texts]  # as they stand in the prompt
    for number, (text, start, end) in reversed(list(enumerate(texts))):
        if number in changes:
            new = text
            for first, last, words in sorted(changes[number], reverse=True):
                new = new[:first] + words + new[last:]
            new = new.strip()
            if new != text:
                told.append((text, new))
                out = _with(out, start, end, new)
                wanted[number] = _written(prompt, new)
    if not told:
        raise ValueError(f"The replacements change nothing: the new words are the old ones. {_listed(texts)}")
    _check_quotes(out, wanted, told)
    return out, told[::-1]


def _check_quotes(prompt, wanted, told):
    """Only where new words have quotes: the texts that are drawn are those that should be."""
    if any(_QUOTES & set(new) for _, new in told) and list(filter(None, wanted)) != [text for text, _, _ in drawn_texts(prompt) if text]:
        new = next(new for _, new in told if _QUOTES & set(new))
        raise ValueError(
            f"The new words, {_quoted(new)}, have a quote at which the drawn text would end. Leave it out, or put the prompt's drawn text "
            "in other quotes, like « »."
        )


def _places(replacement, texts):
    """[(number of the drawn text, start, end)]"""
    if replacement.old is None:
        if len({text for text, _, _ in texts}) > 1:
            raise ValueError(f"The prompt has several drawn texts: write which one, as OLD -> NEW. {_listed(texts)}")
        return [(number, 0, len(text)) for number, (text, _, _) in enumerate(texts)]
    for same in (lambda a, b: a == b, lambda a, b: a.casefold() == b.casefold()):
        whole = [(number, 0, len(text)) for number, (text, _, _) in enumerate(texts) if same(text.strip(), replacement.old)]
        if whole:
            return whole
    words = re.compile(rf"(?<!\w){re.escape(replacement.old)}(?!\w)", re.I)
    inside = [(number, *match.span()) for number, (text, _, _) in enumerate(texts) for match in words.finditer(text)]
    if not inside:
        raise ValueError(f"{_quoted(replacement.old)} is in no drawn text of the prompt. {_listed(texts)}")
    if len(inside) > 1:
        raise ValueError(
            f"{_quoted(replacement.old)} is there several times: write the whole drawn text before the arrow. {_listed(texts)}"
        )
    return inside


def _with(prompt, start, end, new):
    if new or is_json(prompt):
        return prompt[:start] + _written(prompt, new) + prompt[end:]
    before, behind = prompt[: start - 1], prompt[end + 1 :]  # without the quotes
    return before[: _LEAD.search(before).start()] + behind


def _written(prompt, new):
    """New words as they stand in the prompt."""
    return json.dumps(new, ensure_ascii=False)[1:-1] if is_json(prompt) else new


def _unquoted(text):
    text = text.strip()
    return text[1:-1] if len(text) > 1 and (text[0], text[-1]) in {('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("'", "'")} else text


def _quoted(text):
    return f'"{text if len(text) <= _LONGEST else text[:_LONGEST] + "..."}"'


def _listed(texts):
    return "Its drawn texts: " + ", ".join(_quoted(text) for text in dict.fromkeys(text for text, _, _ in texts)) + "."
