"""The second generation's text side: an ordinary English prompt with the drawn text in quotes, as tokens, and a small transformer.

read_prompt    prompt -> Prompt
tokenize       prompt -> LENGTH token ids
TextModel      token ids [B, LENGTH] -> (embeddings [B, LENGTH, WIDTH], pooled [B, WIDTH])

Words that the models do not know are left out, and said once in the log. The drawn text is one token a slot of each line (see
boards.slots), so that the model sees which character stands where.
"""

import logging
import re
from dataclasses import dataclass

import torch
from torch import nn

from .boards import CHARACTERS, KINDS, PAINTS, SHAPES, SLOTS, slots
from .walls import MATERIALS

LENGTH = 32  # tokens of every prompt, padding included
WIDTH = 128
_WORDS = ["<pad>", "<start>", "<end>", "sign", "wall", *PAINTS, *KINDS, *SHAPES, *MATERIALS]
_IDS = {word: i for i, word in enumerate(_WORDS)}
_GRAMMAR = {"a", "an", "the", "on", "of", "in", "with", "that", "which", "says", "saying", "reads", "reading", "and"}
_EMPTY = "_"
_SYMBOLS = CHARACTERS.replace(" ", _EMPTY)
_PLACES = 3 * SLOTS
_FIRST = len(_WORDS)  # ids of characters: _FIRST + place * len(_SYMBOLS) + symbol
_QUOTED = re.compile(r'["“”„«]([^"“”„«»]*)["“”»]')


@dataclass(frozen=True)
class Prompt:
    """words: the known ones, in order; text: what stands in quotes, lines below each other, None without quotes; unknown: the others."""

    words: tuple[str, ...]
    text: str | None
    unknown: tuple[str, ...]


def read_prompt(prompt):
    quoted = [re.sub(r"\s*(?:/|\n)\s*", "\n", part.strip()) for part in _QUOTED.findall(prompt)]
    words = re.findall(r"[^\W\d_]+", _QUOTED.sub(" ", prompt).lower())
    known = tuple(w for w in words if w in _IDS)
    return Prompt(known, "\n".join(quoted) if quoted else None, tuple(w for w in words if w not in _IDS and w not in _GRAMMAR))


def tokenize(prompt):
    """Raises ValueError for a text that does not fit on a board."""
    read = read_prompt(prompt)
    if read.unknown:
        logging.warning("The demo models do not know these words of the prompt and leave them out: %s", ", ".join(read.unknown))
    letters = [] if read.text is None else _letters(read.text)
    room = LENGTH - 2 - len(letters)
    ids = [_IDS["<start>"], *(_IDS[w] for w in read.words[:room]), *letters, _IDS["<end>"]]
    return ids + [_IDS["<pad>"]] * (LENGTH - len(ids))


def _letters(text):
    found = {(line, slot): character for line, slot, character in slots(text)}
    lines = (0,) if "\n" not in text else (1, 2)
    places = [(line, slot) for line in lines for slot in range(SLOTS)]
    return [_FIRST + (line * SLOTS + slot) * len(_SYMBOLS) + _SYMBOLS.index(found.get((line, slot), _EMPTY)) for line, slot in places]


class TextModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(_FIRST, WIDTH)
        self.symbol = nn.Embedding(len(_SYMBOLS), WIDTH)
        self.place = nn.Embedding(_PLACES, WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, ids):
        letter = (ids - _FIRST).clamp(min=0)
        written = self.symbol(letter % len(_SYMBOLS)) + self.place(letter // len(_SYMBOLS))
        x = torch.where((ids >= _FIRST)[..., None], written, self.word(ids.clamp(max=_FIRST - 1))) + self.position
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x, x.mean(1)
