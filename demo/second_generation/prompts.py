"""The second generation's text side: an ordinary English prompt with the drawn text in quotes, as tokens, and a small transformer.

read_prompt    prompt -> Prompt
SlotText       the MMDiT's: the drawn text is one token a slot of each line (see boards.slots), so that the model sees which character
               stands where
OrderedText    the U-Net's: words and characters one after the other as they are written, as in the text models that people use; where a
               character will stand, follows from how many there are, and is the text model's to find out

Both have LENGTH, `tokenize(prompt)` -> LENGTH token ids, and as modules make of ids [B, LENGTH] embeddings [B, LENGTH, OUT] and the mean
[B, WIDTH] of what these are made of. Words that the models do not know are left out, and said once in the log.
"""

import logging
import re
from dataclasses import dataclass

import torch
from torch import nn

from .boards import CHARACTERS, KINDS, PAINTS, SHAPES, SLOTS, slots
from .walls import MATERIALS

WIDTH = 128
_WORDS = ["<pad>", "<start>", "<end>", "sign", "wall", *PAINTS, *KINDS, *SHAPES, *MATERIALS]
_IDS = {word: i for i, word in enumerate(_WORDS)}
_GRAMMAR = {"a", "an", "the", "on", "of", "in", "with", "that", "which", "says", "saying", "reads", "reading", "and"}
_EMPTY = "_"
_SYMBOLS = CHARACTERS.replace(" ", _EMPTY)
_PLACES = 3 * SLOTS
SPECIAL, CHARACTER = _IDS["<end>"], len(_WORDS)  # ids between them are words
_QUOTED = re.compile(r'["“”„«]([^"“”„«»]*)["“”»]')


@dataclass(frozen=True)
class Prompt:
    """words: the known ones, in order; text: what stands in quotes, lines below each other, None without quotes; unknown: the others."""

    words: tuple[str, ...]
    text: str | None
    unknown: tuple[str, ...]


def read_prompt(prompt):
    """Raises ValueError for a text that does not fit on a board."""
    parts = tuple(_parts(prompt))
    quoted = [text for text, is_quoted in parts if is_quoted]
    words = [word for text, is_quoted in parts if not is_quoted for word in _words(text)]
    unknown = tuple(w for w in words if w not in _IDS and w not in _GRAMMAR)
    read = Prompt(tuple(w for w in words if w in _IDS), "\n".join(quoted) if quoted else None, unknown)
    slots(read.text)
    return read


def _parts(prompt):
    """(text, whether it stood in quotes), in order; lines of a quoted one below each other."""
    for number, part in enumerate(_QUOTED.split(prompt)):
        is_quoted = number % 2 == 1
        yield (re.sub(r"\s*(?:/|\n)\s*", "\n", part.strip()), True) if is_quoted else (part, False)


def _words(text):
    return re.findall(r"[^\W\d_]+", text.lower())


def _known(prompt):
    read = read_prompt(prompt)
    if read.unknown:
        logging.warning("The demo models do not know these words of the prompt and leave them out: %s", ", ".join(read.unknown))
    return read


def _filled(ids, length):
    """With a start, an end and padding; of more tokens than there is room for, the last words are left out."""
    words = [n for n, token in enumerate(ids) if token < CHARACTER]
    if left_out := words[len(words) - max(len(ids) + 2 - length, 0) :]:
        logging.warning("The demo models' prompts have room for fewer words; the last %d are left out.", len(left_out))
    ids = [token for n, token in enumerate(ids) if n not in left_out]
    return [_IDS["<start>"], *ids, _IDS["<end>"]] + [_IDS["<pad>"]] * (length - 2 - len(ids))


class _Transformer(nn.Module):
    def __init__(self, length, blocks):
        super().__init__()
        self.position = nn.Parameter(torch.randn(length, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(WIDTH)

    def run(self, x):
        x = x + self.position
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x, x.mean(1)


class SlotText(_Transformer):
    LENGTH, OUT = 32, WIDTH

    def __init__(self):
        super().__init__(self.LENGTH, 2)
        self.word = nn.Embedding(CHARACTER, WIDTH)
        self.symbol = nn.Embedding(len(_SYMBOLS), WIDTH)
        self.place = nn.Embedding(_PLACES, WIDTH)

    @classmethod
    def tokenize(cls, prompt):
        """Raises ValueError for a text that does not fit on a board."""
        read = _known(prompt)
        letters = [] if read.text is None else cls._letters(read.text)
        return _filled([*(_IDS[w] for w in read.words), *letters], cls.LENGTH)

    @staticmethod
    def _letters(text):
        """CHARACTER + place * len(_SYMBOLS) + symbol, for each slot of the text's lines."""
        found = {(line, slot): character for line, slot, character in slots(text)}
        lines = (0,) if "\n" not in text else (1, 2)
        places = [(line, slot) for line in lines for slot in range(SLOTS)]
        symbols = [(place, _SYMBOLS.index(found.get(place, _EMPTY))) for place in places]
        return [CHARACTER + (line * SLOTS + slot) * len(_SYMBOLS) + symbol for (line, slot), symbol in symbols]

    @staticmethod
    def is_drawn(token):
        return token >= CHARACTER and _SYMBOLS[(token - CHARACTER) % len(_SYMBOLS)] != _EMPTY

    def forward(self, ids):
        letter = (ids - CHARACTER).clamp(min=0)
        written = self.symbol(letter % len(_SYMBOLS)) + self.place(letter // len(_SYMBOLS))
        return self.run(torch.where((ids >= CHARACTER)[..., None], written, self.word(ids.clamp(max=CHARACTER - 1))))


class OrderedText(_Transformer):
    # Wider than the first generation's embeddings: text layers are known by this width and the layers' number, and both U-Nets have nine.
    LENGTH, OUT = 40, 160
    _QUOTE, _LINE, _CHARACTERS = CHARACTER, CHARACTER + 1, CHARACTER + 2

    def __init__(self):
        super().__init__(self.LENGTH, 3)
        self.token = nn.Embedding(self._CHARACTERS + len(_SYMBOLS), WIDTH)
        self.out = nn.Linear(WIDTH, self.OUT, bias=False)

    @classmethod
    def tokenize(cls, prompt):
        """Raises ValueError for a text that does not fit on a board."""
        _known(prompt)
        ids = []
        for text, is_quoted in _parts(prompt):
            if is_quoted:
                written = [cls._LINE if c == "\n" else cls._CHARACTERS + CHARACTERS.index(c) for c in text]
                ids += [cls._QUOTE, *written, cls._QUOTE]
            else:
                ids += [_IDS[w] for w in _words(text) if w in _IDS]
        return _filled(ids, cls.LENGTH)

    @classmethod
    def is_drawn(cls, token):
        return token >= cls._CHARACTERS and CHARACTERS[token - cls._CHARACTERS] != " "

    def forward(self, ids):
        x, pooled = self.hidden(ids)
        return self.out(x), pooled

    def hidden(self, ids):
        """The same without the last matrix, which only widens at first."""
        return self.run(self.token(ids))
