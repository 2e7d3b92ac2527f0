"""Do the text layers carry the word, and only the word? `python dev.py run benchmarks.editing.demo_edit --out FILE.json`

For pairs of held-out words, a demo model draws the source, the plain target, and the source with the target prompt in: its text
layers (edit), all other layers (complement), as many random other layers (random); the MMDiT also its text layers with the target
evaluated on the source's latents (same_latents). EasyOCR reads the words, pixels give the colours. Once with targets of another
word and other colours, once with another word alone. A sheet lies beside --out.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np

from ...demo import comfy_model, pictures, signs
from ...demo.edit import sheet, sign_pair
from ...demo.train import word_list
from ...patching import models
from ...patching.patch import OWN_RUN, SAME_LATENTS, patch_prompt
from ...patching.text_layers import TextLayers
from ...scoring.compare import capitals
from ...scoring.image import psnr
from ...scoring.ocr import EasyOcr
from ..record import environment

BATCH = 20


def held_out_pairs(count, seed):
    """Pairs of held-out words, every second one of equal length."""
    words = word_list("held_out")
    rng = random.Random(seed)
    pairs = []
    while len(pairs) < count:
        a, b = rng.sample(words, 2)
        if (len(a) == len(b)) == (len(pairs) % 2 == 0):
            pairs.append((a, b))
    return pairs


def draw(name, pairs, word_only, seed, kinds):
    """{kind: pictures}, for kinds of "source", "target", "edit", "same_latents", "complement", "random"."""
    model, clip, vae = comfy_model.load(name)
    chosen = models.preset(model)
    names = models.layer_names(model)
    others = [n for n in names if n not in chosen.names]
    rng = random.Random(seed)
    drawn = {kind: [] for kind in kinds}
    for first in range(0, len(pairs), BATCH):
        batch = [sign_pair(a, b, seed, word_only) for a, b in pairs[first : first + BATCH]]
        source = pictures.encode(clip, [a.prompt() for a, _ in batch])
        target = pictures.encode(clip, [b.prompt() for _, b in batch])
        sets = {"edit": chosen.names, "same_latents": chosen.names, "complement": others, "random": rng.sample(others, len(chosen.names))}
        for kind in kinds:
            patched, positive = model, target if kind == "target" else source
            if kind in sets:
                layers = TextLayers(chosen.family, chosen.architecture, tuple(n for n in names if n in sets[kind]))
                patched = patch_prompt(model, layers, target, method=SAME_LATENTS if kind == "same_latents" else OWN_RUN)
            drawn[kind].extend(pictures.sample(patched, clip, vae, positive, seed * 1000 + first, len(batch)))
        print(f"{name}: {min(first + BATCH, len(pairs))} of {len(pairs)} pairs drawn", file=sys.stderr, flush=True)
    return drawn


def measure(ocr, pairs, word_only, seed, drawn):
    """One row a pair: what was read, which colours were found and the background's PSNR against the source, by kind."""
    rows = []
    for n, words in enumerate(pairs):
        a, b = sign_pair(*words, seed, word_only)
        boxes = [signs.text_box(a.word), signs.text_box(b.word)]
        row = {"source_word": a.word, "target_word": b.word}
        for kind, found in drawn.items():
            colours = signs.read_colours(found[n])
            row[kind] = {
                "read": capitals(ocr.read(found[n], enlarge=4)),
                "colours": "source" if colours == (a.wall, a.sign) else "target" if colours == (b.wall, b.sign) else "neither",
                "background_psnr": None if kind == "source" else min(psnr(drawn["source"][n], found[n], boxes), 99.0),
            }
        rows.append(row)
    return rows


def summarize(rows):
    """Counts and means. `of_readable`: among pairs whose plain target picture is read exactly."""
    readable = [r for r in rows if r["target"]["read"] == r["target_word"]]
    out = {"pairs": len(rows), "source_read_exactly": sum(r["source"]["read"] == r["source_word"] for r in rows)}
    out["target_read_exactly"] = len(readable)
    for kind in ("edit", "same_latents", "complement", "random"):
        if kind in rows[0]:
            out[kind] = {
                "reads_target_of_readable": sum(r[kind]["read"] == r["target_word"] for r in readable),
                "reads_source": sum(r[kind]["read"] == r["source_word"] for r in rows),
                "colours_of_source": sum(r[kind]["colours"] == "source" for r in rows),
                "colours_of_target": sum(r[kind]["colours"] == "target" for r in rows),
            }
    gain = np.array([r["edit"]["background_psnr"] - r["target"]["background_psnr"] for r in rows])
    means = np.random.default_rng(0).choice(gain, (10000, len(gain))).mean(1)
    for kind in ("target", "edit", "same_latents"):
        if kind in rows[0]:
            out[f"{kind}_background_psnr"] = round(float(np.mean([r[kind]["background_psnr"] for r in rows])), 2)
    out["edit_minus_target_psnr"] = round(float(gain.mean()), 2)
    out["edit_minus_target_psnr_95"] = [round(float(q), 2) for q in np.quantile(means, (0.025, 0.975))]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=102)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", choices=comfy_model.MODELS, help="one of the two; both without it")
    a = parser.parse_args()
    ocr = EasyOcr()
    pairs = held_out_pairs(a.pairs, a.seed)
    result = {"seed": a.seed, **environment(), "models": {}}
    for name in [a.model] if a.model else comfy_model.MODELS:
        model = comfy_model.load(name)[0]
        variant = ("same_latents",) if models.family_of(model).evolves else ()
        result["models"][name] = {"layers": models.preset(model).names}
        for case, word_only, kinds in (
            ("word_and_colours", False, ("source", "target", "edit", *variant, "complement", "random")),
            ("word_only", True, ("source", "target", "edit", *variant)),
        ):
            drawn = draw(name, pairs, word_only, a.seed, kinds)
            rows = measure(ocr, pairs, word_only, a.seed, drawn)
            same = [r for r in rows if len(r["source_word"]) == len(r["target_word"])]
            other = [r for r in rows if r not in same]
            tables = {"all": summarize(rows), "equal_length": summarize(same), "other_length": summarize(other)}
            result["models"][name][case] = {**tables, "rows": rows}
            print(name, case, json.dumps(tables, indent=1), flush=True)
            picked = list(zip(*(drawn[k][:12] for k in ("source", "target", "edit")), strict=True))
            sheet(picked).save(a.out.with_name(f"{a.out.stem}-{name}-{case}.jpg"))
    a.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
