"""The demo models' text side: a tokenizer that knows a few dozen words and all letters, and a small transformer.

Tokenizer    prompt -> token ids, in the form ComfyUI's CLIP object asks for
TextModel    token ids [B, LENGTH] -> (embeddings [B, LENGTH, WIDTH], pooled [B, WIDTH]), likewise

A prompt is one token a word; the part in quotes is one token a slot of the sign (see signs.slots), so that the model sees
which letter stands where.
"""

import re

import torch
from torch import nn

from .signs import LETTERS, PALETTE, SHAPES, SLOTS, shown, slots

LENGTH = 20  # tokens of every prompt, padding included
WIDTH = 128
_WORDS = ["<pad>", "<start>", "<end>", "a", "sign", "on", "wall", "that", "says", *PALETTE, *SHAPES]
_IDS = {word: i for i, word in enumerate(_WORDS)}
_FIRST_LETTER = len(_WORDS)  # ids of letters: _FIRST_LETTER + slot * 27 + letter, the 27th letter is the empty slot
_SLOT_SYMBOLS = LETTERS + "_"


def tokenize(prompt):
    """Token ids of one prompt, LENGTH of them. Raises ValueError for words the models do not know."""
    ids = [_IDS["<start>"]]
    for quoted, word in re.findall(r'["“]([^"”]*)["”]|([^\s,."“”]+)', prompt):
        if quoted:
            for slot, symbol in enumerate(slots(quoted.strip().upper())):
                ids.append(_FIRST_LETTER + slot * len(_SLOT_SYMBOLS) + _SLOT_SYMBOLS.index(symbol))
        elif word.lower() in _IDS:
            ids.append(_IDS[word.lower()])
        else:
            raise ValueError(
                f'The text demo models do not know the word "{shown(word)}". They understand prompts like '
                f'a red round sign on a blue wall that says "CAFE", with the colours {", ".join(PALETTE)} '
                f"and the shapes {', '.join(SHAPES)}; the word to draw stands in quotes."
            )
    ids.append(_IDS["<end>"])
    if len(ids) > LENGTH:
        raise ValueError(f"The prompt has {len(ids)} tokens; the text demo models read {LENGTH} at most: {shown(prompt)}")
    return ids + [_IDS["<pad>"]] * (LENGTH - len(ids))


class TextModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(_FIRST_LETTER + SLOTS * len(_SLOT_SYMBOLS), WIDTH)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(2)
        )
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, ids):
        x = self.token(ids) + self.position
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x, x.mean(1)
