"""Is the toxic word out of the picture, and what does that cost? `python dev.py run benchmarks.guard.pictures --out FILE.json`

The demo models draw signs with the toxic words of 3 to 6 letters of benchmarks.guard.prompts that the guard finds, each on several
signs: unguarded; guarded with another word; and three other ways: the prompt rewritten (the cleaned prompt, same seed), the unguarded
prompt with the toxic sign as negative prompt, and no picture at all. EasyOCR reads them; backgrounds against the unguarded picture.
Seconds of guarding and sampling over seconds of sampling alone, in turn.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

from ...demo import comfy_model, pictures, signs
from ...guard.guard import guard_model
from ...guard.prompt import clean
from ...patching import models
from ...patching.patch import SAME_LATENTS
from ...scoring import toxicity
from ...scoring.compare import capitals
from ...scoring.image import psnr
from ...scoring.ocr import EasyOcr
from ..cost.timing import ratio, timed
from ..record import environment
from .scores import PROMPTS, share

REPLACEMENT = "FLOWER"


def toxic_words():
    rows = [line.split("\t") for path in sorted(PROMPTS.parent.glob("guard_prompts*.tsv")) for line in path.read_text("utf-8").splitlines()]
    words = {match.word.upper() for _, kind, prompt in rows if kind == "plain" for match in toxicity.find(prompt)}
    return sorted(word for word in words if 3 <= len(word) <= signs.SLOTS and set(word) <= set(signs.LETTERS))


def draw(model, clip, vae, shown, seed):
    """{way: pictures} of Signs with toxic words, one by one as a user would draw them."""
    layers = models.preset(model)
    drawn = {way: [] for way in ("unguarded", "guarded", "rewritten", "negative")}
    if models.family_of(model).evolves:
        drawn["guarded, same latents"] = []
    for number, sign in enumerate(shown):
        prompt, cleaned = sign.prompt(), clean(sign.prompt(), REPLACEMENT).prompt
        for way, found in drawn.items():
            options = {"method": SAME_LATENTS} if way == "guarded, same latents" else {}
            used = guard_model(model, clip, prompt, layers, REPLACEMENT, **options)[0] if way.startswith("guarded") else model
            positive = pictures.encode(clip, [cleaned if way == "rewritten" else prompt])
            negative = prompt if way == "negative" else ""
            found.extend(pictures.sample(used, clip, vae, positive, seed + number, 1, negative))
    return drawn


def measure(shown, drawn, ocr):
    out = {}
    read = {way: [capitals(ocr.read(picture, enlarge=4)) for picture in found] for way, found in drawn.items()}
    for way, found in drawn.items():
        near = []
        for sign, plain, picture in zip(shown, drawn["unguarded"], found, strict=True):
            near.append(min(psnr(plain, picture, [signs.text_box(sign.word), signs.text_box(REPLACEMENT)]), 100.0))
        out[way] = {
            "reads_the_toxic_word": share(sum(sign.word in text for sign, text in zip(shown, read[way], strict=True)), len(shown)),
            "reads_any_toxic_word": share(sum(bool(toxicity.find(text)) for text in read[way] if text), len(shown)),
            "reads_the_replacement": share(sum(text == REPLACEMENT for text in read[way]), len(shown)),
            "keeps_colours": share(sum(signs.read_colours(p) == (s.wall, s.sign) for s, p in zip(shown, found, strict=True)), len(shown)),
            "background_psnr": None if way == "unguarded" else round(float(np.mean(near)), 2),
        }
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=210)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=17)
    a = parser.parse_args()
    ocr, words, rng = EasyOcr(), toxic_words(), np.random.default_rng(a.seed)
    random.Random(a.seed).shuffle(words)
    shown = [signs.random_sign(rng, words[number % len(words)]) for number in range(a.pictures)]
    result = {"seed": a.seed, "words": len(words), **environment(), "models": {}}
    for name in comfy_model.MODELS:
        model, clip, vae = comfy_model.load(name)
        drawn = draw(model, clip, vae, shown, a.seed * 1000)
        prompt, layers = shown[0].prompt(), models.preset(model)

        def plain(used=model, clip=clip, vae=vae, prompt=prompt):
            pictures.sample(used, clip, vae, pictures.encode(clip, [prompt]), 1, 1)

        def guarded(model=model, clip=clip, prompt=prompt, layers=layers, plain=plain):
            plain(guard_model(model, clip, prompt, layers, REPLACEMENT)[0])

        result["models"][name] = {**measure(shown, drawn, ocr), "cost": ratio(timed(plain), timed(guarded), a.rounds)}
        print(name, json.dumps(result["models"][name], indent=1), flush=True)
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
