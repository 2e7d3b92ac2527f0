"""Train the codec: `python dev.py run demo.second_generation.train_codec pictures.npy --out runs/codec`.

pictures.npy: of draw_ahead; its last 48 pictures are held out. Writes into --out: checkpoint.pt (gone on from when it is there),
codec.safetensors (float16, moving average, with mean and deviation of the latents), and pictures-STEP.png: held-out pictures above
what comes back.

L1 of the picture and of its gradients; a little noise on the latents, so that what a model draws a little wrong decodes well.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from ..muon import Muon
from ..precision import autocast
from . import codec as codecs

HELD_OUT = 24
LATENT_NOISE = 0.05


def optimizers(codec, lr):
    matrix = {n: p.ndim == 4 and not n.endswith(("conv_in.weight", "conv_out.weight")) for n, p in codec.named_parameters()}
    hidden = [p for n, p in codec.named_parameters() if matrix[n]]
    rest = [p for n, p in codec.named_parameters() if not matrix[n]]
    return [Muon(hidden, lr=lr), torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]


def crops(pictures, step, batch, size, seed):
    rng = np.random.default_rng((seed, step))
    cut = []
    for _ in range(batch):
        n = rng.integers(len(pictures) - HELD_OUT)
        y, x = rng.integers(pictures.shape[1] - size + 1), rng.integers(pictures.shape[2] - size + 1)
        cut.append(pictures[n, y : y + size, x : x + size])
    return codecs.to_unit(np.stack(cut))


def edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def codec_loss(codec, x):
    z = codec.encode(x)
    back = codec.decode(z + LATENT_NOISE * torch.randn_like(z))
    gradients = sum(nn.functional.l1_loss(a, b) for a, b in zip(edges(back), edges(x), strict=True))
    size = 1e-4 * z.square().mean() + 1e-2 * z.mean((0, 2, 3)).square().mean()
    return nn.functional.l1_loss(back, x) + 0.5 * gradients + size


@torch.no_grad()
def check(codec, pictures, path, device):
    """PSNR in dB on held-out pictures, and the latents' mean and deviation a channel. Writes a sheet of the first twelve."""
    x = codecs.to_unit(pictures[-HELD_OUT:]).to(device)
    z = torch.cat([codec.encode(part) for part in x.split(8)])
    back = torch.cat([codecs.to_pixels(codec.decode(part)) for part in z.split(8)]).cpu().numpy()
    error = np.square(back.astype(np.float32) - pictures[-HELD_OUT:]).mean((1, 2, 3))
    from PIL import Image

    rows = [np.concatenate(list(part[i : i + 4]), 1) for i in range(0, 12, 4) for part in (pictures[-HELD_OUT:], back)]
    Image.fromarray(np.concatenate(rows)).save(path)
    return float((10 * np.log10(255**2 / error)).mean()), z.mean((0, 2, 3)).cpu(), z.std((0, 2, 3)).cpu()


def train(pictures, out, steps, batch, size, lr, seed, save_every, minutes=math.inf):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    codec, average = codecs.build(), codecs.build().requires_grad_(False)
    codecs.initialize(codec)
    codec, average = codec.to(device), average.to(device)
    average.load_state_dict(codec.state_dict())
    opts = optimizers(codec, lr)
    first, log, checkpoint = 0, [], out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        codec.load_state_dict(saved["codec"])
        average.load_state_dict(saved["average"])
        for opt, state in zip(opts, saved["optimizers"], strict=True):
            opt.load_state_dict(state)
        first, log = saved["step"], saved["log"]
        print(f"going on at step {first}", flush=True)
    parameters = list(codec.parameters())
    print(f"{sum(p.numel() for p in parameters) / 1e6:.2f} M parameters", flush=True)
    started = saved_at = time.time()
    losses = []
    for step in range(first, steps):
        done = max(step / steps, (time.time() - started) / (60 * minutes))
        with autocast(device):
            loss = codec_loss(codec, crops(pictures, step, batch, size, seed).to(device))
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"The loss is {loss.item()} at step {step}; the last good state is in {checkpoint}.")
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.5)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = lr * min((step + 1) / 50, 1.0, max(1 - done, 0) / 0.4)
            opt.step()
        codec.zero_grad(set_to_none=True)
        torch._foreach_lerp_(list(average.parameters()), parameters, 1 - min(0.998, (step + 1) / (step + 10)))
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            pace = (time.time() - started) / (step + 1 - first)
            print(f"step {step + 1}/{steps}  loss {np.mean(losses[-50:]):.4f}  {pace:.2f} s a step", flush=True)
        if time.time() - saved_at > save_every * 60 or step + 1 == steps or done >= 1:
            saved_at = time.time()
            decibel, mean, deviation = check(average, pictures, out / f"pictures-{step + 1:05d}.png", device)
            log.append({"step": step + 1, "loss": float(np.mean(losses[-50:])), "psnr": decibel})
            print(f"held out: {decibel:.2f} dB, latents' deviation {deviation.mean():.2f}", flush=True)
            state = {"codec": codec.state_dict(), "average": average.state_dict(), "optimizers": [o.state_dict() for o in opts]}
            torch.save({**state, "step": step + 1, "log": log}, out / "checkpoint.tmp")
            (out / "checkpoint.tmp").replace(checkpoint)
            weights = {k: v.half().contiguous() for k, v in average.state_dict().items()}
            weights |= {"latents.mean": mean, "latents.deviation": deviation}
            save_file(weights, out / "codec.safetensors", {"training": json.dumps({"of": steps, **log[-1]})})
        if done >= 1:
            break


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--size", type=int, default=64, help="side of the crops in pixels")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=4, help="minutes between checkpoints")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long, with the learning rate fallen by then")
    a = parser.parse_args()
    train(np.load(a.pictures, mmap_mode="r"), a.out, a.steps, a.batch, a.size, a.lr, a.seed, a.save_every, a.minutes)


if __name__ == "__main__":
    import comfy.cli_args

    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    comfy.cli_args.args.use_pytorch_cross_attention = True
    main()
