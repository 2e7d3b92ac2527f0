"""Teach the U-Net's text model, which reads words and characters in order, what one that is told their places makes of the same prompts:

python dev.py run demo.second_generation.distill_text unet-slots.safetensors --out runs/unet-ordered.safetensors

The first file is a U-Net trained with `train unet --slots`. What comes out is the same U-Net, as wide as its own text model, for `train
--weights`: pictures are not needed, so that this takes minutes, and the U-Net has to get used to little.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from . import boards, texts
from .prompts import CHARACTER, SPECIAL, WIDTH, OrderedText, SlotText

_PREFIX = "text_model."
DRAWN = 3.0  # times that a drawn character's error counts


def alike(slotted, ordered, form):
    """[(place in SlotText's tokens of a board's prompt in its first form, place in OrderedText's of `form`, weight)]: the words and the
    characters, each with itself."""
    here, there = ([n for n, token in enumerate(ids) if SPECIAL < token < CHARACTER] for ids in (slotted, ordered))
    walls = 3 if form == "wall first" else 0  # its colour, its material and "wall" come first there
    there = there[walls:] + there[:walls]
    drawn = ([n for n, t in enumerate(ids) if side.is_drawn(t)] for ids, side in ((slotted, SlotText), (ordered, OrderedText)))
    return [(0, 0, 1.0), *((a, b, 1.0) for a, b in zip(here, there, strict=True)), *((a, b, DRAWN) for a, b in zip(*drawn, strict=True))]


def batch(rng, stage, size):
    """(ids for SlotText, ids for OrderedText, rows, tokens of either that should be alike, weights)."""
    slotted, ordered, rows, here, there, weights = [], [], [], [], [], []
    for row in range(size):
        board = boards.random_board(rng, texts.random_text(rng, stage), stage.kinds)
        form = str(rng.choice(boards.FORMS))
        slotted.append(SlotText.tokenize(board.prompt()))
        ordered.append(OrderedText.tokenize(board.prompt(form)))
        for a, b, weight in alike(slotted[-1], ordered[-1], form):
            rows.append(row)
            here.append(a)
            there.append(b)
            weights.append(weight)
    return (*map(torch.tensor, (slotted, ordered, rows, here, there)), torch.tensor(weights)[:, None])


def distill(weights, steps, size, lr, seed):
    torch.manual_seed(seed)
    teacher, student = SlotText().eval(), OrderedText()
    student.out.requires_grad_(False).weight.copy_(torch.eye(OrderedText.OUT, WIDTH))
    teacher.load_state_dict({key[len(_PREFIX) :]: value.float() for key, value in weights.items() if key.startswith(_PREFIX)})
    rng, stage = np.random.default_rng(seed), texts.STAGES["all"]
    optimizer = torch.optim.AdamW(student.parameters(), lr, betas=(0.9, 0.98), weight_decay=0.01)
    errors = []
    for step in range(steps):
        slotted, ordered, rows, here, there, weight = batch(rng, stage, size)
        with torch.no_grad():
            wanted = teacher(slotted)[0][rows, here]
        error = (student.hidden(ordered)[0][rows, there] - wanted).square()
        loss = (error * weight).mean()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = lr * min((step + 1) / 100, 2 * (1 - step / steps), 1)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        errors.append(float((error.detach().mean() / wanted.var()).sqrt()))
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{steps}  error {np.mean(errors[-100:]):.3f} of the deviation", flush=True)
    return student


def widened(weights):
    """A U-Net's weights for embeddings of OrderedText.OUT, of whose further numbers nothing is read yet."""
    more = OrderedText.OUT - WIDTH
    reading = (".attn2.to_k.weight", ".attn2.to_v.weight")
    return {key: torch.nn.functional.pad(value, (0, more)) if key.endswith(reading) else value for key, value in weights.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unet", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    weights = load_file(a.unet)
    student = distill(weights, a.steps, a.batch, a.lr, a.seed)
    kept = widened({key: value for key, value in weights.items() if not key.startswith(_PREFIX)})
    save_file({**kept, **{_PREFIX + key: value.half().contiguous() for key, value in student.state_dict().items()}}, a.out)


if __name__ == "__main__":
    main()
