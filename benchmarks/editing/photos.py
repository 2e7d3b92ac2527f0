"""Can a word be changed in a picture that the model did not draw?

`python dev.py run benchmarks.editing.photos --model unet --out FILE.json`

Signs with words that the demo models were not trained on, drawn by the renderer and made faulty as photographs are: turned, blurred, in
another light, with a colour cast, noise and the marks of JPEG. Two ways, each as its workflow has it:

invert  Invert Picture, then Patch Prompt Into Layers on the same noise
photo   the picture's latents with some noise, Patch Prompt Into Layers with them kept, within the box of the old word that OCR finds

RapidOCR reads. readable: how many of the faulty pictures are read before the edit. background_db: against the faulty picture, outside of
both words' places, mean, each counted as at most 100. cost: processor time as a multiple of drawing one picture. A sheet lies beside --out.
"""

import argparse
import io
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from nodes import common_ksampler

from ...demo import comfy_model, pictures, signs
from ...demo.edit import sheet, sign_pair
from ...inversion.invert import invert
from ...localization.pairs import parse_pairs
from ...patching import drawn, models
from ...patching.patch import SAME_LATENTS, patch_prompt
from ...scoring.compare import USUAL
from ...scoring.image import pixels, psnr
from ...scoring.mask import mask_words
from ...scoring.ocr import engine
from ..localization.searches import held_out_pairs
from ..reading.word_boxes import widened
from ..record import environment
from .inversion import Bench as Inversion

COUNT, REFINEMENTS, STEPS = 36, 8, 6  # of 12
MARGIN = 2  # pixels by which a turned sign's word may leave its box


def faulty(picture, rng):
    """[32, 64, 3] uint8 as a camera might have it."""
    image = Image.fromarray(picture)
    large = image.resize((image.width * 4, image.height * 4), Image.BICUBIC).rotate(rng.uniform(-3, 3), Image.BICUBIC, fillcolor=None)
    edge = 8  # what has turned in from outside
    large = large.crop((edge, edge, large.width - edge, large.height - edge)).filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))
    values = np.asarray(large.resize(image.size, Image.BOX)).astype(float) / 255
    light = 1 + rng.uniform(-0.12, 0.12) * np.linspace(-1, 1, image.width)[:, None]
    values = (values * light * rng.uniform(0.92, 1.08, 3)).clip(0, 1) ** rng.uniform(0.85, 1.15)
    values = (values + rng.normal(0, rng.uniform(0, 0.02), values.shape)).clip(0, 1)
    file = io.BytesIO()
    Image.fromarray((values * 255).round().astype(np.uint8)).save(file, "JPEG", quality=int(rng.integers(75, 95)))
    return np.asarray(Image.open(file).convert("RGB"))


class Bench:
    def __init__(self, name):
        self.model, self.clip, self.vae = comfy_model.load(name)
        self.layers, self.name = models.preset(self.model), name
        self.method = {"method": SAME_LATENTS} if models.family_of(self.model).evolves else {}

    def encode(self, prompts):
        return pictures.encode(self.clip, prompts)

    def latents(self, shown):
        return self.vae.encode(torch.from_numpy(shown).float() / 255)

    def plain(self, source, seed):
        """Draws one picture each, for the cost."""
        return pictures.sample(self.model, self.clip, self.vae, self.encode(source), seed, len(source))

    def invert(self, shown, source, target, seed):
        bench = Inversion(self.name)
        latents = bench.latent(shown)
        guider = bench.guider(source)
        noise = invert(guider, latents, bench.sigmas, REFINEMENTS)
        patched = patch_prompt(bench.model, self.layers, self.encode(target), **self.method)
        return bench.draw(bench.guider(source, patched), noise, latents)

    def photo(self, shown, source, target, seed):
        latents = self.latents(shown)
        masks = [_box(picture, a, b) for picture, a, b in zip(shown, source, target, strict=True)]
        latent = {"samples": latents, "noise_mask": torch.from_numpy(np.stack(masks)).float()}
        model = patch_prompt(self.model, self.layers, self.encode(target), keep=latents, **self.method)
        settings = seed, STEPS, pictures.CFG, pictures.SAMPLER, pictures.SCHEDULER
        out = common_ksampler(model, *settings, self.encode(source), self.encode([""]), latent, denoise=0.5)
        return pixels(self.vae.decode(out[0]["samples"]))


def _box(picture, source, target):
    """Where OCR finds words; everywhere where it finds none."""
    mask = mask_words(picture, engine("RapidOCR"), 1)
    if not mask.any():
        return np.ones_like(mask)
    old, new = (drawn.drawn_texts(prompt)[0][0] for prompt in (source, target))
    return widened(mask, old, new)


def run(name, pairs, seed):
    rng = np.random.default_rng(seed)
    chosen = [sign_pair(pair.source, pair.target, seed, word_only=True) for pair in pairs]
    shown = np.stack([faulty(picture, rng) for picture in signs.draw([a for a, _ in chosen], rng)])
    source, target = ([side.prompt() for side in sides] for sides in zip(*chosen, strict=True))
    bench, ocr = Bench(name), engine("RapidOCR")
    readable = sum(USUAL.same(ocr.read(picture, enlarge=4), a.word) for picture, (a, _) in zip(shown, chosen, strict=True))
    boxes = [[_grown(signs.text_box(side.word)) for side in pair] for pair in chosen]

    def timed(function, *arguments):
        started = time.process_time()
        return function(*arguments), time.process_time() - started

    _, usual = timed(bench.plain, source, seed)
    result, edits = {}, {}
    for way in ("invert", "photo"):
        edits[way], seconds = timed(getattr(bench, way), shown, source, target, seed)
        right = [USUAL.same(ocr.read(picture, enlarge=4), b.word) for picture, (_, b) in zip(edits[way], chosen, strict=True)]
        near = [min(psnr(a, b, box), 100.0) for a, b, box in zip(shown, edits[way], boxes, strict=True)]
        result[way] = {"read": sum(right), "readable": readable, "pairs": len(pairs), "background_db": float(np.mean(near)),
                       "worst_db": min(near), "cost": seconds / usual}  # fmt: skip
        print(name, way, result[way], flush=True)
    worst = np.argsort([psnr(a, b, box) for a, b, box in zip(shown, edits["photo"], boxes, strict=True)])
    return result, [(shown[n], edits["invert"][n], edits["photo"][n]) for n in worst]


def _grown(box):
    left, top, right, bottom = box
    return max(0, left - MARGIN), max(0, top - MARGIN), min(signs.WIDTH, right + MARGIN), min(signs.HEIGHT, bottom + MARGIN)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=comfy_model.MODELS, required=True)
    parser.add_argument("--pairs", type=Path, help="a file of word pairs, source, target a line; otherwise words that were held out")
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    pairs = parse_pairs(a.pairs.read_text("utf-8-sig")) if a.pairs else held_out_pairs(COUNT, a.seed)
    result, rows = run(a.model, pairs, a.seed)
    a.out.write_text(json.dumps(result | {"seed": a.seed, **environment()}, indent=1) + "\n", "utf-8")
    sheet(rows, titles=("a faulty picture", "inverted and edited", "photo: from the middle level")).save(a.out.with_suffix(".jpg"))


if __name__ == "__main__":
    main()
