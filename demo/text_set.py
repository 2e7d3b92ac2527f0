"""A synthetic set for training drawn text: words on signs, with captions.

text_set    words -> pictures and captions
"""

import numpy as np

from . import signs


def text_set(words, count, seed, sign=None, wall=None, shape=None, describe=True, lettering=signs.PLAIN, each=iter):
    """(pictures [count, 32, 64, 3] uint8, captions).

    sign, wall: colours of all signs and walls, shape: of all signs; where None, each has its own. describe: captions tell them,
    otherwise the word alone. each: goes over a list, and may stop it. Raises ValueError for no words, words that the demo models
    cannot draw, and a sign in its wall's colour.
    """
    if not words:
        raise ValueError("There are no words to draw.")
    for word in words:
        signs.slots(word)
    if sign and sign == wall:
        raise ValueError(f"Sign and wall are both {sign}: nobody would see the sign. Choose two colours.")
    rng = np.random.default_rng(seed)
    free = [name for name in signs.PALETTE if name not in (sign, wall)]
    shown = []
    for word in rng.choice(words, count):
        colours = rng.choice(free, 2, replace=False)
        shown.append(signs.Sign(str(word), sign or str(colours[0]), wall or str(colours[1]), shape or str(rng.choice(signs.SHAPES))))
    said = shown if describe else [signs.Sign(sign.word, None, None, None) for sign in shown]
    return signs.draw(each(shown), rng, lettering), [sign.prompt() for sign in said]
