"""Which tokens of an encoded prompt are the text that the model should draw: what stands in quotes.

drawn_texts   of a prompt
is_json       whether a prompt is written so, as prompt enhancers do
encode        a prompt as CONDITIONING that knows the tokens of its drawn texts
changed       the tokens of the texts that differ between two such prompts
"""

import json
import re
from difflib import SequenceMatcher

DRAWN = "text_layers_drawn"  # in a conditioning: for each row [(text, numbers of its tokens in the embedding, or None), ...]
_SINGLE = r"""(?<!\w)['‘]((?:[^'‘’"\n]|(?<=\w)['’](?=\w))+)['’](?!\w)"""  # an apostrophe inside a word is no quote
_QUOTED = re.compile(r"""["“„]([^"“”„]*)["”“]|«([^«»]*)»|「([^「」]*)」|『([^『』]*)』|""" + _SINGLE)
# In JSON: a whole value whose key speaks of text, and what stands in quotes inside of any value.
_VALUE = r""""[^"]*\b(?:text|words?|lettering|inscription)[^"]*"\s*:\s*"((?:[^"\\]|\\.)*)"|"""
_IN_JSON = re.compile(_VALUE + r"""\\"((?:[^"\\]|\\[^"])*)\\"|“([^“”"]*)”|""" + _SINGLE, re.I)
_CLIPS = ("l", "g", "h")  # their embeddings lie beside each other, channel by channel


def drawn_texts(prompt):
    """[(text, start, end)] of what stands in quotes, without the quotes; start and end are places in the prompt. In a prompt that is JSON
    the values whose key says that they are text, and what stands in quotes inside of the others."""
    pattern = _IN_JSON if is_json(prompt) else _QUOTED
    found = [(match, next(n for n, group in enumerate(match.groups(), 1) if group is not None)) for match in pattern.finditer(prompt)]
    return [(match.group(n), *match.span(n)) for match, n in found]


def is_json(prompt):
    if not prompt.lstrip().startswith(("{", "[")):
        return False
    try:
        return isinstance(json.loads(prompt), (dict, list))
    except ValueError:
        return False


def encode(clip, prompt):
    """CONDITIONING [1, tokens, channels] of a prompt, by ComfyUI's CLIP."""
    conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))
    return [[embeddings, {**extra, DRAWN: [_known(clip, prompt, embeddings.shape[1])]}] for embeddings, extra in conditioning]


def changed(source, target):
    """(tokens of the source, of the target), sorted numbers of those of the drawn texts that differ; rows as in DRAWN. None where that
    cannot be known: the tokens of such a text are unknown, or no text differs."""
    sides = [text for text, _ in source], [text for text, _ in target]
    if len(source) == len(target):
        different = tuple({n for n, (a, b) in enumerate(zip(*sides, strict=True)) if a != b} for _ in sides)
    else:
        blocks = SequenceMatcher(None, *sides, autojunk=False).get_matching_blocks()
        different = tuple(
            set(range(len(side))) - {start + n for start, n in ((block[place], k) for block in blocks for k in range(block.size))}
            for place, side in enumerate(sides)
        )
    tokens = [[known[n][1] for n in sorted(numbers)] for known, numbers in zip((source, target), different, strict=True)]
    if None in tokens[0] or None in tokens[1] or not any(map(len, tokens[0] + tokens[1])):
        return None
    return tuple(sorted({token for text in side for token in text}) for side in tokens)


def _known(clip, prompt, length):
    return [(text, _tokens(clip, prompt, start, end, length)) for text, start, end in drawn_texts(prompt)]


def _tokens(clip, prompt, start, end, length):
    """Those that change when another text takes the place."""
    text = prompt[start:end]
    if not text.strip():
        return ()
    other = next(c for c in "xQ7#" if c not in (text[0].lower(), text[0], text[-1].lower(), text[-1]))
    own, others = (
        {name: _ids(rows) for name, rows in clip.tokenize(words).items() if isinstance(rows, list)}
        for words in (prompt, prompt[:start] + other + prompt[end:])
    )
    offsets = _offsets({name: len(ids) for name, ids in own.items()}, length)
    found = {place + offset for name, offset in offsets.items() for place in _between(own[name], others[name])}
    return tuple(sorted(token for token in found if 0 <= token < length)) or None


def _ids(rows):
    return [token[0] if isinstance(token[0], int) else None for row in rows for token in row]


def _offsets(lengths, length):
    """{tokenizer: where its first token stands among the embedding's tokens}, without those that only give a pooled embedding; empty
    where it cannot be known. lengths: how many tokens each one made; length: of the embedding."""
    clips = [name for name in lengths if name in _CLIPS]
    others = [name for name in lengths if name not in _CLIPS]
    beside = max((lengths[name] for name in clips), default=0)
    if len(others) > 1:
        return {}
    if not others:
        return dict.fromkeys(clips, 0) if beside == length else {}
    long = lengths[others[0]]
    if long == length:
        return {others[0]: 0}
    if clips and beside + long == length:
        return {**dict.fromkeys(clips, 0), others[0]: beside}
    if clips and beside == length:
        return dict.fromkeys(clips, 0)
    return {others[0]: length - long} if length < long else {}  # what an encoder leaves out is its template's beginning


def _between(own, other):
    """Places of `own` that its common beginning and end with `other` leave; what fills them up is no end."""
    own, other = _unfilled(own), _unfilled(other)
    shorter = min(len(own), len(other))
    first = next((n for n in range(shorter) if own[n] != other[n]), shorter)
    behind = next((n for n in range(shorter - first) if own[-1 - n] != other[-1 - n]), shorter - first)
    return range(first, len(own) - behind)


def _unfilled(ids):
    """Without the same token repeated at the end."""
    end = len(ids)
    while end > 1 and ids[end - 2] == ids[-1]:
        end -= 1
    return ids[:end]
