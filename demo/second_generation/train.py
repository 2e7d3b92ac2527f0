"""Train a model on encoded pictures:

python dev.py run demo.second_generation.train mmdit latents.npz --codec codec.safetensors --out runs/mmdit

Several files of encode_ahead may be given, and are drawn from alike. Writes into --out: checkpoint.pt (gone on from when it is there),
log.json, and NAME.safetensors (float16, moving average, with the latents' mean and deviation). The curriculum is a run after another
with the same --out, more --steps and other files. --weights begins with the weights of another machine's run.

Flow matching; the squared error counts --text-weight times where text stands, which is what makes letters come in hours.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ..precision import autocast
from ..train import optimizers
from . import models
from .boards import FORMS, Board
from .prompts import SlotText

EMPTY_PROMPT = 0.1  # share of pictures trained without a prompt, for classifier-free guidance
SHARES = (0.6, 0.2, 0.2)  # of prompts in each of FORMS
UNSAID = 0.06  # share of colours, kinds, shapes and materials that the prompt does not say
STATISTICS = ("latents.mean", "latents.deviation")


class Data:
    """Batches of (unit latents [B, 16, 16, 32], token ids [B, LENGTH], cells of the text [B, 1, 16, 32]) by step."""

    def __init__(self, paths, tokenize, batch, seed):
        files = [np.load(path) for path in paths]
        self.latents = np.concatenate([file["latents"] for file in files])
        self.cells = np.concatenate([file["cells"] for file in files])
        self.boards = [Board(**board) for file in files for board in json.loads(str(file["boards"]))]
        self.tokenize, self.batch, self.seed = tokenize, batch, seed

    def prompt(self, board, rng):
        if rng.random() < EMPTY_PROMPT:
            return ""
        said = {name: value for name, value in vars(board).items() if name == "text" or rng.random() >= UNSAID}
        if board.text == "" and rng.random() < 0.5:
            said["text"] = None
        return Board(**{name: said.get(name) for name in vars(board)}).prompt(str(rng.choice(FORMS, p=SHARES)))

    def __getitem__(self, step):
        rng = np.random.default_rng((self.seed, step))
        chosen = rng.integers(len(self.boards), size=self.batch)
        ids = [self.tokenize(self.prompt(self.boards[n], rng)) for n in chosen]
        latents = torch.from_numpy(self.latents[chosen].astype(np.float32))
        return latents, torch.tensor(ids), torch.from_numpy(self.cells[chosen])[:, None]


def flow_loss(model, x, ids, cells, random, text_weight):
    """Of the velocity between latents x and noise, at times that `random`, a generator, draws."""
    noise = torch.randn(x.shape, generator=random, device=random.device).to(x)
    t = torch.sigmoid(torch.randn(len(x), generator=random, device=random.device) + 0.4).to(x)
    velocity = model(torch.lerp(x, noise, t[:, None, None, None]), t, ids)
    error = (velocity.float() - (noise - x)).square()
    return (error * (1 + (text_weight - 1) * cells)).mean()


def rate(step, done, decay, warmup=50):
    """Share of the full learning rate: a short warm-up, flat, then down over the last `decay`. done: share of the run that is over."""
    return min((step + 1) / warmup, 1.0, max(1 - done, 0) / decay if decay else 1.0)


def save(model, average, opts, statistics, log, out, name):
    state = {"model": model.state_dict(), "average": average.state_dict(), "optimizers": [o.state_dict() for o in opts], "log": log}
    torch.save(state, out / "checkpoint.tmp")
    (out / "checkpoint.tmp").replace(out / "checkpoint.pt")
    (out / "log.json").write_text(json.dumps(log))
    weights = {k: v.half().contiguous() for k, v in average.state_dict().items()}
    save_file({**weights, **statistics}, out / f"{name}.safetensors", {"training": json.dumps(log[-1])})


def train(
    name, paths, codec, out, steps, batch, lr, decay, text_weight, seed, save_every, compile_model, weights, minutes=math.inf, slots=False
):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    statistics = {key: value for key, value in load_file(codec).items() if key in STATISTICS}
    text = SlotText if slots else None
    model = models.TextToImage(name, text).to(device)
    if weights:
        model.load_state_dict({k: v.float() for k, v in load_file(weights).items() if k not in STATISTICS})
    average = models.TextToImage(name, text).to(device).requires_grad_(False)
    average.load_state_dict(model.state_dict())
    opts = optimizers(model, lr)
    log = [{"step": 0}]
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt", map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for opt, state in zip(opts, saved["optimizers"], strict=True):
            opt.load_state_dict(state)
        log = saved["log"]
        print(f"going on at step {log[-1]['step']}", flush=True)
    first = log[-1]["step"]
    data = Data(paths, model.text_model.tokenize, batch, seed)
    run = torch.compile(model) if compile_model else model
    parameters = list(model.parameters())
    print(f"{name}: {sum(p.numel() for p in parameters) / 1e6:.2f} M parameters, {len(data.boards)} pictures", flush=True)
    started = saved_at = time.time()
    losses = []
    for step in range(first, steps):
        done = max(step / steps, (time.time() - started) / (60 * minutes))
        x, ids, cells = (part.to(device) for part in data[step])
        random = torch.Generator().manual_seed(seed * 1_000_003 + step)
        with autocast(device):
            loss = flow_loss(run, x, ids, cells, random, text_weight)
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"The loss is {loss.item()} at step {step}; the last good state is in {out / 'checkpoint.pt'}.")
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = lr * rate(step, done, decay)
            opt.step()
        model.zero_grad(set_to_none=True)
        torch._foreach_lerp_(list(average.parameters()), parameters, 1 - min(0.998, (step + 1) / (step + 10)))
        losses.append(loss.item())
        if (step + 1) % 20 == 0:
            pace = (time.time() - started) / (step + 1 - first)
            print(f"step {step + 1}/{steps}  loss {np.mean(losses[-100:]):.4f}  {pace:.2f} s a step", flush=True)
        if time.time() - saved_at > save_every * 60 or step + 1 == steps or done >= 1:
            saved_at = time.time()
            settings = {"of": steps, "batch": batch, "lr": lr, "text_weight": text_weight, "files": [path.name for path in paths]}
            log.append({"step": step + 1, "loss": round(float(np.mean(losses[-100:])), 4), **settings})
            save(model, average, opts, statistics, log, out, name)
        if done >= 1:
            break


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("unet", "mmdit"))
    parser.add_argument("latents", type=Path, nargs="+")
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.3, help="last share of the steps in which the learning rate falls to zero")
    parser.add_argument("--text-weight", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=4, help="minutes between checkpoints")
    parser.add_argument("--weights", type=Path, help="start from these weights (NAME.safetensors) instead of random ones")
    parser.add_argument("--slots", action="store_true", help="with the MMDiT's text model, to teach the U-Net's own by (distill_text)")
    parser.add_argument("--compile", action="store_true", help="torch.compile: faster, needs a C++ compiler")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long, with the learning rate fallen by then")
    a = vars(parser.parse_args())
    train(a.pop("model"), a.pop("latents"), compile_model=a.pop("compile"), **a)


if __name__ == "__main__":
    import comfy.cli_args

    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    comfy.cli_args.args.use_pytorch_cross_attention = True
    main()
