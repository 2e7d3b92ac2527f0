"""The optimizer of a training, and how fast it learns in each step.

optimizer   AdamW, with its moments in 32 or in 8 bits
rate        the learning rate of a step
"""

import math

import torch

OPTIMIZERS = ("AdamW", "AdamW 8-bit")
SCHEDULES = ("constant", "linear", "cosine")


def optimizer(parameters, settings):
    """Raises ValueError where bitsandbytes is wanted and missing."""
    kind = torch.optim.AdamW
    if settings.optimizer != OPTIMIZERS[0]:
        try:
            from bitsandbytes.optim import AdamW8bit as kind
        except ImportError:
            raise ValueError("The 8-bit optimizer needs the package bitsandbytes: install it, or take AdamW.") from None
    return kind(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def rate(settings, step):
    """Of step 0, 1, ...: it rises evenly to the full rate over the warm-up's steps, and then stays, or falls to zero at the last one,
    evenly or along half a cosine. [as diffusers and transformers have it]"""
    if step < settings.warmup:
        return settings.learning_rate * step / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    left = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[settings.schedule]
    return settings.learning_rate * max(0.0, left)
