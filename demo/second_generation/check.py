"""What a model draws: `python dev.py run demo.second_generation.check mmdit mmdit.safetensors codec.safetensors --out sheet.png`.

Draws held-out words on random boards through ComfyUI's KSampler, reads them with RapidOCR, and writes a sheet of the first 24. The
codec's own reading of the renderer's pictures of the same boards is the ceiling.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...scoring.compare import USUAL
from . import boards, codec, models, texts

CASES = {"capitals": str.upper, "small": str.lower, "title": str.capitalize}
ROWS = 16


def held_out_boards(count, case, kinds, seed):
    rng = np.random.default_rng(seed)
    words = rng.choice(texts.held_out(), count, replace=False)
    return [boards.random_board(rng, CASES[case](str(word)), kinds) for word in words]


def pictures(name, model_file, codec_file, shown, seed):
    """[N, 128, 256, 3] uint8 by ComfyUI's KSampler."""
    from nodes import common_ksampler

    from ...patching.comfy import batched
    from . import comfy_model

    model, clip, vae = comfy_model.load(name, model_file, codec_file)

    def encode(prompts):
        return batched([clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0] for prompt in prompts])

    drawn = []
    for first in range(0, len(shown), ROWS):
        rows = shown[first : first + ROWS]
        empty = {"samples": torch.zeros(len(rows), codec.CHANNELS, boards.HEIGHT // codec.FACTOR, boards.WIDTH // codec.FACTOR)}
        positive, negative = encode([board.prompt() for board in rows]), encode([""])
        latent = common_ksampler(model, seed + first, models.STEPS, models.CFG, "euler", "simple", positive, negative, empty)[0]["samples"]
        drawn.append((vae.decode(latent) * 255).round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(drawn)


def through_codec(codec_file, shown, seed):
    """The renderer's pictures of the same boards, encoded and decoded."""
    model = codec.load(codec_file)[0]
    drawn = boards.draw(shown, np.random.default_rng(seed))
    with torch.no_grad():
        parts = [codec.to_pixels(model.decode(model.encode(codec.to_unit(drawn[i : i + ROWS])))) for i in range(0, len(drawn), ROWS)]
    return torch.cat(parts).numpy()


def read(drawn):
    from ...scoring.ocr import engine

    return [engine("RapidOCR").read(picture, 2) for picture in drawn]


def sheet(drawn, path, columns=4):
    rows = [np.concatenate(list(drawn[i : i + columns]), 1) for i in range(0, len(drawn) - columns + 1, columns)]
    Image.fromarray(np.concatenate(rows)).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("unet", "mmdit", "codec"))
    parser.add_argument("files", type=Path, nargs="+", help="the model's weights and the codec's; for codec the codec's alone")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--words", type=int, default=64)
    parser.add_argument("--case", choices=CASES, default="capitals")
    parser.add_argument("--seed", type=int, default=5)
    a = parser.parse_args()
    shown = held_out_boards(a.words, a.case, texts.STAGES["capitals"].kinds, a.seed)
    drawn = through_codec(a.files[-1], shown, a.seed) if a.model == "codec" else pictures(a.model, *a.files, shown, a.seed)
    sheet(drawn[:24], a.out)
    readings = read(drawn)
    right = [USUAL.same(board.text, reading) for board, reading in zip(shown, readings, strict=True)]
    a.out.with_suffix(".json").write_text(
        json.dumps([(board.prompt(), reading) for board, reading in zip(shown, readings, strict=True)], indent=0)
    )
    print(f"exact {sum(right)} of {len(right)}")


if __name__ == "__main__":
    import comfy.cli_args

    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    comfy.cli_args.args.use_pytorch_cross_attention = True
    main()
