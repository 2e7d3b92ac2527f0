"""Encode drawn pictures: `python dev.py run demo.second_generation.encode_ahead pictures.npy codec.safetensors --out latents.npz`.

Writes what a model is trained on, of every picture of draw_ahead: its latents (float16), its board, and the cells that its text covers.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from . import boards, codec, draw_ahead

BATCH = 16


@torch.no_grad()
def encode(model, pictures):
    """Raw latents [N, 16, 16, 32] float16 of pictures [N, 128, 256, 3] uint8."""
    parts = [model.encode(codec.to_unit(pictures[i : i + BATCH])).half() for i in range(0, len(pictures), BATCH)]
    return torch.cat(parts).numpy()


def write(drawn, pictures, codec_file, out):
    model, mean, deviation = codec.load(codec_file)
    raw = encode(model, pictures)
    unit = (raw - mean.numpy()[:, None, None]) / deviation.numpy()[:, None, None]
    cells = np.stack([boards.text_cells(board.text) for board in drawn])
    listed = json.dumps([vars(board) for board in drawn])
    np.savez(out, latents=unit.astype(np.float16), cells=cells, boards=np.array(listed))
    print(f"{len(drawn)} pictures, deviation {unit.std():.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("codec", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    write(*draw_ahead.load(a.pictures), a.codec, a.out)


if __name__ == "__main__":
    import comfy.cli_args

    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    comfy.cli_args.args.use_pytorch_cross_attention = True
    main()
