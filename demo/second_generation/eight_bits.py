"""Weights in 8 bits, for files of half the size:

python dev.py run demo.second_generation.eight_bits unet.safetensors --out small.safetensors

packed      {name: tensor} -> the same with its large matrices in 8 bits
unpacked    and back

Each output channel of a matrix has a scale of its own. Vectors, and what is small, stay in 16 bits.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

_SCALE = ".scale_of_8_bits"
_SMALL = 4096  # numbers; of so few, 16 bits cost nothing


def packed(weights):
    found = {}
    for name, w in weights.items():
        if w.ndim < 2 or w.numel() < _SMALL:
            found[name] = w.half() if w.is_floating_point() else w
            continue
        rows = w.float().flatten(1)
        scale = (rows.abs().amax(1) / 127).clamp(min=1e-12)
        found[name] = (rows / scale[:, None]).round().to(torch.int8).view(w.shape).contiguous()
        found[name + _SCALE] = scale
    return found


def unpacked(weights):
    """In float32. Weights that are not packed stay as they are."""
    found = {}
    for name, w in weights.items():
        if name.endswith(_SCALE):
            continue
        scale = weights.get(name + _SCALE)
        found[name] = w if scale is None else w.float() * scale.view(-1, *[1] * (w.ndim - 1))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    weights = load_file(a.weights)
    small = packed(weights)
    save_file(small, a.out)
    back = unpacked(small)
    worst = max(float((back[name].float() - w.float()).norm() / w.float().norm()) for name, w in weights.items() if w.float().norm() > 0)
    print(f"{a.weights.stat().st_size / 1e6:.1f} MB -> {a.out.stat().st_size / 1e6:.1f} MB; largest relative error of a tensor {worst:.4f}")


if __name__ == "__main__":
    main()
