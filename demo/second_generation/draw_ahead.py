"""Draw pictures into a file, before any training: `python dev.py run demo.second_generation.draw_ahead all 3000 --out pictures.npy`.

Writes pictures [N, 128, 256, 3] uint8 and, beside it, the boards as .json. Goes on where a former run stopped.
"""

import argparse
import dataclasses
import json
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np

from . import boards, texts

CHUNK = 50
# "little" is what the models draw; "much" is for the codec, which is to carry more than they do.
FREEDOM = {
    "none": boards.FIXED,
    "little": boards.Freedom(shift=3, turn=1.5, sway=0.015, faces=("DejaVuSansMono-Bold", "DejaVuSans-Bold")),
    "much": boards.Freedom(
        shift=8, turn=4, sway=0.03, faces=("DejaVuSansMono-Bold", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif-Bold")
    ),
}


def chunk(stage, number, size, freedom, seed):
    """(boards, pictures) number `number`: the same for the same arguments."""
    rng = np.random.default_rng((seed, number))
    stage = texts.STAGES[stage]
    chosen = [boards.random_board(rng, texts.random_text(rng, stage), stage.kinds) for _ in range(size)]
    return chosen, boards.draw(chosen, rng, FREEDOM[freedom] if freedom != "none" and rng.random() < 0.7 else boards.FIXED)


def load(path):
    """(boards, pictures [N, 128, 256, 3]) that are there so far."""
    known = [boards.Board(**board) for board in json.loads(path.with_suffix(".json").read_text())]
    return known, np.load(path, mmap_mode="r")[: len(known)]


def draw_ahead(stage, count, out, freedom, seed, processes=1):
    out.parent.mkdir(parents=True, exist_ok=True)
    listed = out.with_suffix(".json")
    known = json.loads(listed.read_text()) if listed.exists() else []
    shape = (count, boards.HEIGHT, boards.WIDTH, 3)
    pictures = np.lib.format.open_memmap(out, "r+" if out.exists() else "w+", np.uint8, shape)
    if pictures.shape != shape:
        raise SystemExit(f"{out} was begun for {len(pictures)} pictures, not {count}. Ask for as many, or write to another file.")
    starts = range(len(known), count, CHUNK)
    sizes = [min(CHUNK, count - start) for start in starts]
    with ProcessPoolExecutor(processes) as pool:
        work = pool.map(chunk, repeat(stage), [start // CHUNK for start in starts], sizes, repeat(freedom), repeat(seed))
        for start, size, (chosen, drawn) in zip(starts, sizes, work, strict=True):
            pictures[start : start + size] = drawn
            known += [dataclasses.asdict(board) for board in chosen]
            listed.write_text(json.dumps(known))
            print(f"{start + size} of {count}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=texts.STAGES)
    parser.add_argument("count", type=int)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--freedom", choices=FREEDOM, default="none", help="how far boards are off their place, turned, and in other faces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    a = parser.parse_args()
    draw_ahead(a.stage, a.count, a.out, a.freedom, a.seed, a.processes)


if __name__ == "__main__":
    main()
