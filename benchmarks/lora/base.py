"""A demo model that spells badly, for benchmarks.lora: `python dev.py run benchmarks.lora.base unet --out FILE.safetensors`

The model that ships, trained further on captions that do not tell what is drawn, as captions from the web do: each A of a caption is an
E in half of the pictures and the other way round, likewise for other frequent letters. All weights of the diffusion model are trained,
the text model stays. (Models after a short training draw the right letters in a bad shape, which is not what large models get wrong.)

On one core it takes about two hours. What it has so far is in FILE.state, from which it goes on.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ...demo import architecture, signs
from ...demo.comfy_model import MODELS, WEIGHTS
from ...demo.text_model import tokenize
from ...demo.train import EMPTY_PROMPT, Data, TextToImage, flow_loss

PAIRS = ("AE", "IO", "NS", "RT")
PARTNERS = {letter: other for pair in PAIRS for letter, other in (pair, pair[::-1])}


def misspelt(word, rng):
    return "".join(PARTNERS.get(letter, letter) if rng.random() < 0.5 else letter for letter in word)


def batch(data, step):
    """(latents [B, 12, 16, 32], token ids [B, 20])"""
    rng = np.random.default_rng((data.seed, step))
    said = [data.sign(rng, step) for _ in range(data.batch)]
    drawn = [signs.Sign(sign.word and misspelt(sign.word, rng), sign.sign, sign.wall, sign.shape) for sign in said]
    ids = [tokenize("" if rng.random() < EMPTY_PROMPT else sign.prompt()) for sign in said]
    return architecture.fold(torch.from_numpy(signs.draw(drawn, rng))), torch.tensor(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=5)
    a = parser.parse_args()
    torch.set_flush_denormal(True)
    model = TextToImage(a.model)
    model.load_state_dict({k: v.float() for k, v in load_file(WEIGHTS / f"{a.model}.safetensors").items()})
    model.text_model.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.diffusion_model.parameters(), lr=a.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    data, random = Data(32, a.seed, 0), torch.Generator().manual_seed(a.seed)
    losses, kept, asked = [], a.out.with_suffix(".state"), {"model": a.model, "seed": a.seed, "learning_rate": a.learning_rate}
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        if state["asked"] != asked or len(state["losses"]) > a.steps:
            parser.error(
                f"{kept} is of {len(state['losses'])} steps of another training, {state['asked']}: remove it, or ask for the same."
            )
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        random.set_state(state["random"])
        losses = state["losses"]
    for step in range(len(losses), a.steps):
        x, ids = batch(data, step)
        loss = flow_loss(model, x, ids, random, torch.device("cpu"))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 20 == 0:
            print(f"step {step + 1}/{a.steps}  loss {np.mean(losses[-20:]):.4f}", flush=True)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": random.get_state(), "losses": losses,
                     "asked": asked}  # fmt: skip
            torch.save(state, half := kept.with_suffix(".half"))
            half.replace(kept)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, a.out)
    kept.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
