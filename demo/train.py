"""Train one of the demo models: `python dev.py run demo.train unet --out runs/unet`.

Writes into --out: checkpoint.pt (resumed from when it is there), loss.png, samples-STEP.png and, at the end, the weights as
NAME.safetensors (float16, moving average), ready for demo/weights. Runs on the GPU where there is one, otherwise on the CPU; in
bfloat16 autocast where that is fast. Everything is drawn from --seed and the step's number, so that a resumed run sees the same data.

Flow matching on the pictures themselves (no VAE); see demo/README.md for what was trained, on what and how it scored.
"""

import argparse
import json
import math
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from . import architecture, signs
from .muon import Muon
from .precision import autocast
from .text_model import TextModel, tokenize

WORDS = Path(__file__).parent / "words"
EMPTY_PROMPT = 0.1  # share of pictures trained without a prompt, for classifier-free guidance
SAMPLE_STEPS, SAMPLE_CFG = 12, 3.0


def word_list(name):
    """Words of demo/words: "train" or "held_out"."""
    return (WORDS / f"{name}.txt").read_text("utf-8").split()


class Data:
    """Batches of (latents [B, 12, 16, 32], token ids [B, 20]).

    Half the words are English, half random letters, which is what makes unseen words work. The first `six_letters` steps have
    words of six letters only: no slot is ever empty until the model has learned which letter stands where, so that an empty slot
    becomes one more letter instead of something that other layers decide first.
    """

    def __init__(self, batch, seed, six_letters):
        self.batch, self.seed, self.six_letters = batch, seed, six_letters
        self.held_out = set(word_list("held_out"))
        self.by_length = {n: [w for w in word_list("train") if len(w) == n] for n in range(3, signs.SLOTS + 1)}

    def word(self, rng, length):
        if rng.random() < 0.5:
            return str(rng.choice(self.by_length[length]))
        while True:
            word = "".join(rng.choice(list(signs.LETTERS), length))
            if word not in self.held_out:
                return word

    def sign(self, rng, step):
        length = 6 if step < self.six_letters else int(rng.choice([3, 4, 5, 6]))
        full = signs.random_sign(rng, self.word(rng, length))
        unsaid = rng.random(4) < (0.03, 0.08, 0.08, 0.08)
        return signs.Sign(*(None if hide else value for hide, value in zip(unsaid, vars(full).values(), strict=True)))

    def __getitem__(self, step):
        rng = np.random.default_rng((self.seed, step))
        chosen = [self.sign(rng, step) for _ in range(self.batch)]
        pictures = torch.from_numpy(signs.draw(chosen, rng))
        ids = [tokenize("" if rng.random() < EMPTY_PROMPT else s.prompt()) for s in chosen]
        return architecture.fold(pictures), torch.tensor(ids)


class TextToImage(nn.Module):
    """A demo model with its text model, as one module to train: velocity = model(noisy latents, time in 0..1, token ids)."""

    def __init__(self, name):
        super().__init__()
        import comfy.ops
        from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
        from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

        if name == "unet":
            self.diffusion_model = UNetModel(**architecture.UNET, operations=comfy.ops.disable_weight_init)
        else:
            self.diffusion_model = OpenAISignatureMMDITWrapper(**architecture.MMDIT, operations=comfy.ops.disable_weight_init)
        architecture.initialize(self.diffusion_model)
        self.text_model = TextModel()
        self.pooled = name == "mmdit"

    def forward(self, x, t, ids):
        embeddings, pooled = self.text_model(ids)
        extra = {"y": pooled} if self.pooled else {}
        return self.diffusion_model(x, t * 1000, context=embeddings, **extra)


def optimizers(model, lr):
    """Muon for the weight matrices of the blocks, AdamW for everything else."""
    edges = ("input_blocks.0.", "out.", "x_embedder", "final_layer", "t_embedder", "y_embedder", "time_embed", "adaLN")
    hidden, rest = [], []
    for name, p in model.named_parameters():
        inner = name.removeprefix("diffusion_model.")
        matrix = p.ndim >= 2 and "text_model" not in name and not any(inner.startswith(e) or e + "_" in inner for e in edges)
        (hidden if matrix else rest).append(p)
    adamw = torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    return [Muon(hidden, lr=lr), adamw]


def learning_rate(step, steps, warmup=50, decay=0.4):
    """Share of the full rate: a short warm-up, flat, then down to zero over the last `decay` of the run."""
    return min((step + 1) / warmup, 1.0, max(steps - step, 0) / (steps * decay))


@torch.no_grad()
def sample(model, ids, noise):
    """Latents by Euler with the shifted schedule that the demo workflows use."""
    empty = torch.tensor([tokenize("")] * len(ids), device=ids.device)
    t = torch.linspace(1, 0, SAMPLE_STEPS + 1)
    sigmas = architecture.SHIFT * t / (1 + (architecture.SHIFT - 1) * t)
    x = noise
    for now, after in pairwise(sigmas):
        times = now.expand(len(x) * 2).to(x.device)
        cond, uncond = model(torch.cat([x, x]), times, torch.cat([ids, empty])).float().chunk(2)
        x = x + (after - now) * (uncond + SAMPLE_CFG * (cond - uncond))
    return x


def sample_sheet(model, device, path):
    """32 held-out words on one sheet; returns their signs and pictures."""
    rng = np.random.default_rng(1)
    chosen = [signs.random_sign(rng, w) for w in rng.choice(word_list("held_out"), 32, replace=False)]
    ids = torch.tensor([tokenize(s.prompt()) for s in chosen], device=device)
    noise = torch.randn(len(chosen), architecture.LATENT_CHANNELS, 16, 32, generator=torch.Generator().manual_seed(1))
    pictures = architecture.unfold(sample(model, ids, noise.to(device)).cpu()).numpy()
    from PIL import Image

    rows = [np.concatenate(list(pictures[i : i + 8]), 1) for i in range(0, 32, 8)]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width * 3, sheet.height * 3), Image.BICUBIC).save(path)
    return chosen, pictures


def loss_curve(losses, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    window = max(1, len(losses) // 200)
    smooth = np.convolve(losses, np.ones(window) / window, "valid")
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.semilogy(np.arange(len(smooth)) + window, smooth)
    axes.set(xlabel="step", ylabel=f"flow matching loss, mean of {window}")
    axes.grid(True, which="both", alpha=0.3)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def flow_loss(model, x, ids, random, device):
    """Of the velocity between latents x and noise, at times that `random`, a generator on the CPU, draws."""
    noise = torch.randn(x.shape, generator=random)
    t = torch.sigmoid(torch.randn(len(x), generator=random) + 0.4)
    x, ids, noise, t = (v.to(device) for v in (x, ids, noise, t))
    with autocast(device):
        velocity = model(torch.lerp(x, noise, t[:, None, None, None]), t, ids)
    return nn.functional.mse_loss(velocity.float(), noise - x)


def train(name, out, steps, batch, lr, seed, six_letters, sheet_every, compile_model, weights=None):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    model = TextToImage(name).to(device)
    if weights:
        model.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    average = TextToImage(name).to(device).requires_grad_(False)
    average.load_state_dict(model.state_dict())
    opts = optimizers(model, lr)
    rates = [lr for _ in opts]
    losses, first = [], 0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for opt, state in zip(opts, saved["optimizers"], strict=True):
            opt.load_state_dict(state)
        losses, first = saved["losses"], saved["step"]
        print(f"resuming {name} at step {first}", flush=True)
    data = Data(batch, seed, int(six_letters * steps))
    run = torch.compile(model) if compile_model else model
    parameters = list(model.parameters())
    print(f"{name}: {sum(p.numel() for p in parameters) / 1e6:.2f} M parameters on {device}", flush=True)
    started = time.time()
    for step in range(first, steps):
        x, ids = data[step]
        loss = flow_loss(run, x, ids, torch.Generator().manual_seed(seed * 1_000_003 + step), device)
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"The loss is {loss.item()} at step {step}; the last good state is in {checkpoint}.")
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for opt, rate in zip(opts, rates, strict=True):
            for group in opt.param_groups:
                group["lr"] = rate * learning_rate(step, steps)
            opt.step()
        model.zero_grad(set_to_none=True)
        torch._foreach_lerp_(list(average.parameters()), parameters, 1 - min(0.999, (step + 1) / (step + 10)))
        losses.append(loss.item())
        if (step + 1) % 20 == 0:
            pace = (time.time() - started) / (step + 1 - first)
            left = pace * (steps - step - 1) / 60
            print(f"step {step + 1}/{steps}  loss {np.mean(losses[-100:]):.4f}  {pace:.2f} s a step  {left:.0f} min left", flush=True)
        if (step + 1) % sheet_every == 0 or step + 1 == steps:
            state = {"model": model.state_dict(), "average": average.state_dict(), "optimizers": [o.state_dict() for o in opts]}
            torch.save({**state, "losses": losses, "step": step + 1}, out / "checkpoint.tmp")
            (out / "checkpoint.tmp").replace(checkpoint)
            loss_curve(losses, out / "loss.png")
            sample_sheet(average, device, out / f"samples-{step + 1:05d}.png")
            settings = {"steps": step + 1, "of": steps, "batch": batch, "lr": lr, "seed": seed, "six_letters": six_letters}
            weights = {k: v.half().contiguous() for k, v in average.state_dict().items()}
            save_file(weights, out / f"{name}.safetensors", {"training": json.dumps(settings)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("unet", "mmdit"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--six-letters", type=float, default=0.3, help="first share of the steps with words of six letters only")
    parser.add_argument("--sheet-every", type=int, default=250, help="steps between checkpoints and sample sheets")
    parser.add_argument("--weights", type=Path, help="start from these weights (NAME.safetensors) instead of random ones")
    parser.add_argument("--compile", action="store_true", help="torch.compile: about 1.7 times as fast on a CPU, needs a C++ compiler")
    a = parser.parse_args()
    train(a.model, a.out, a.steps, a.batch, a.lr, a.seed, a.six_letters, a.sheet_every, a.compile, a.weights)


if __name__ == "__main__":
    import comfy.cli_args

    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    comfy.cli_args.args.use_pytorch_cross_attention = True
    main()
