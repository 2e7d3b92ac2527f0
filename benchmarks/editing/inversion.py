"""How near does an inverted picture come, and can it be edited? `python dev.py run benchmarks.editing.inversion --out FILE.json`

36 crops of scikit-image's photographs, two of each, and 36 pictures of held-out words that the demo models' renderer drew, in their size.
Reconstruction at CFG 1: reversed Euler (DDIM inversion), plain fixed-point iteration, ours, and Heun's method both ways, with the calls of
the model that inversion takes. Then another word is put into the rendered pictures. A sheet lies beside --out.
"""

import argparse
import json
from pathlib import Path

import comfy.k_diffusion.sampling
import comfy.samplers
import numpy as np
import torch
from comfy_extras.nodes_custom_sampler import Guider_Basic
from PIL import Image

from ...demo import comfy_model, pictures, signs
from ...demo.edit import sheet
from ...inversion.euler import invert_euler
from ...inversion.invert import draw, invert
from ...patching import models
from ...patching.patch import SAME_LATENTS, patch_prompt
from ...scoring.compare import capitals
from ...scoring.image import pixels, psnr
from ...scoring.mask import mask_words
from ...scoring.ocr import EasyOcr
from ..guard.scores import share
from ..record import environment
from .demo_edit import held_out_pairs

PHOTOGRAPHS = ("astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
               "immunohistochemistry", "moon", "page", "retina", "rocket", "stereo_motorcycle", "text")  # fmt: skip
STEPS, COUNT, GROW = 12, 36, 4


def photographs():
    """[36, 32, 64, 3] uint8: of each the upper and the lower half, cut to the width of two heights."""
    from skimage import data

    found = []
    for name in PHOTOGRAPHS:
        whole = getattr(data, name)()
        whole = Image.fromarray(whole[0] if isinstance(whole, tuple) else whole).convert("RGB")
        height = min(whole.height // 2, whole.width // 2)
        left = (whole.width - 2 * height) // 2
        for top in (0, whole.height - height):
            part = whole.crop((left, top, left + 2 * height, top + height))
            found.append(np.asarray(part.resize((signs.WIDTH, signs.HEIGHT), Image.LANCZOS)))
    return np.stack(found)


def _reversed_heun(model, x, sigmas, extra_args=None, callback=None, disable=None):
    backwards = sigmas.flip(0).clone()
    backwards[0] = sigmas[-2] * 1e-3  # it divides by the first one
    return comfy.k_diffusion.sampling.sample_heun(model, model.latent_image.clone(), backwards, extra_args, None, disable=True)


class Bench:
    def __init__(self, name):
        self.model, self.clip, self.vae = comfy_model.load(name)
        self.sigmas = comfy.samplers.calculate_sigmas(self.model.get_model_object("model_sampling"), "simple", STEPS)

    def guider(self, prompts, model=None):
        guider = Guider_Basic(model or self.model)
        guider.set_conds(pictures.encode(self.clip, prompts))
        return guider

    def latent(self, shown):
        return self.vae.encode(torch.from_numpy(shown).float() / 255)

    def draw(self, guider, noise, latent, sampler="euler"):
        return pixels(self.vae.decode(draw(guider, noise, latent, self.sigmas, sampler=comfy.samplers.sampler_object(sampler))))


def reconstruction(bench, shown, prompts):
    """{way: {"calls" of the model for the inversion, "psnr" mean, "lowest", "spread" of the noise}}"""
    ways = {"reversed Euler": (STEPS, "euler", invert_euler, {"refinements": 0})}
    for count in (4, 8, 16):
        ways[f"plain iteration, {count}"] = ((count + 1) * STEPS, "euler", invert_euler, {"refinements": count, "window": 1})
    for count in (2, 4, 8, 16):
        ways[f"ours, {count} refinements"] = ((count + 1) * STEPS, "euler", invert_euler, {"refinements": count})
    ways["Heun both ways"] = (2 * STEPS, "heun", _reversed_heun, {})
    out, latent, guider = {}, bench.latent(shown), bench.guider(prompts)
    for way, (calls, sampler, function, options) in ways.items():
        noise = invert(guider, latent, bench.sigmas, sampler=comfy.samplers.KSAMPLER(function, options))
        near = [min(psnr(a, b), 100.0) for a, b in zip(shown, bench.draw(guider, noise, latent, sampler), strict=True)]
        out[way] = {"calls": calls, "psnr": round(float(np.mean(near)), 2), "lowest": round(min(near), 2),
                    "spread": round(float(np.mean(noise.spread())), 3)}  # fmt: skip
        print(way, out[way], flush=True)
    return out


def edits(bench, name, ocr, seed):
    """{way: success and backgrounds}, and rows for a sheet."""
    rng = np.random.default_rng(seed)
    pairs = held_out_pairs(COUNT, seed)
    sources = [signs.random_sign(rng, a) for a, _ in pairs]
    targets = [signs.Sign(b, source.sign, source.wall, source.shape) for (_, b), source in zip(pairs, sources, strict=True)]
    shown = signs.draw(sources, rng)
    latent, guider = bench.latent(shown), bench.guider([source.prompt() for source in sources])
    evolves = models.family_of(bench.model).evolves
    out, rows = {}, []
    for refinements in (0, 4, 8, 16):
        noise = invert(guider, latent, bench.sigmas, refinements)
        for way, options in {"": {}, ", same latents": {"method": SAME_LATENTS}}.items():
            if way and not evolves:
                continue
            target = pictures.encode(bench.clip, [sign.prompt() for sign in targets])
            patched = patch_prompt(bench.model, models.preset(bench.model), target, **options)
            drawn = bench.draw(bench.guider([source.prompt() for source in sources], patched), noise, latent)
            boxes = [[signs.text_box(a), signs.text_box(b)] for a, b in pairs]
            masks = [mask_words(a, ocr, GROW) | mask_words(b, ocr, GROW) for a, b in zip(shown, drawn, strict=True)]
            kept = [np.where(mask[..., None], b, a) for a, b, mask in zip(shown, drawn, masks, strict=True)]
            outside = [np.array_equal(a[~mask], b[~mask]) for a, b, mask in zip(shown, kept, masks, strict=True)]
            out[f"{refinements} refinements{way}"] = {
                "reads_the_target": share(
                    sum(capitals(ocr.read(p, enlarge=4)) == b for p, (_, b) in zip(drawn, pairs, strict=True)), COUNT
                ),
                "reads_the_target_masked": share(
                    sum(capitals(ocr.read(p, enlarge=4)) == b for p, (_, b) in zip(kept, pairs, strict=True)), COUNT
                ),
                "keeps_colours": share(sum(signs.read_colours(p) == (s.wall, s.sign) for p, s in zip(drawn, sources, strict=True)), COUNT),
                "background_psnr": round(
                    float(np.mean([min(psnr(a, b, box), 100.0) for a, b, box in zip(shown, drawn, boxes, strict=True)])), 2
                ),
                "exact_outside_the_mask": share(sum(outside), COUNT),
            }
            print(name, refinements, way, out[f"{refinements} refinements{way}"], flush=True)
            if refinements == 8 and not way:
                rows = list(zip(shown[:10], drawn[:10], kept[:10], strict=True))
    return out, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=19)
    a = parser.parse_args()
    ocr, result = EasyOcr(), {"seed": a.seed, "steps": STEPS, **environment(), "models": {}}
    rng = np.random.default_rng(a.seed)
    drawn = [signs.random_sign(rng, word) for word, _ in held_out_pairs(COUNT, a.seed)]
    rendered = signs.draw(drawn, rng)
    for name in comfy_model.MODELS:
        bench = Bench(name)
        edited, rows = edits(bench, name, ocr, a.seed + 1)
        result["models"][name] = {
            "photographs": reconstruction(bench, photographs(), ["a sign on a wall"] * COUNT),
            "rendered": reconstruction(bench, rendered, [sign.prompt() for sign in drawn]),
            "edits": edited,
        }
        sheet(rows, titles=("a picture", "inverted and edited", "and only within the mask")).save(
            a.out.with_name(f"{a.out.stem}-{name}.jpg")
        )
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
