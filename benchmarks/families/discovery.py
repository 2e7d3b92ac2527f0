"""Does looking at a model find what its adapter says? `python dev.py run benchmarks.families.discovery --out FILE.json`

Every tiny model is looked at as if the pack had no adapters, and what was found is held against its adapter: the layers one by one, and the
slice of the keys that is text in each layer of several calls (prompts of two lengths, two pictures, a batch with CFG). checks: what was
asked on the spot (patching/discovery/checks.py); refused: why it was not served.
"""

import argparse
import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import comfy.sample
import torch

from ...patching import discovery, hook, models
from ...patching.comfy import add_row_wrapper
from ...testing.tiny_models import MODELS

CHECKS = "abcde"


@contextmanager
def without_adapters():
    """As if nobody had written any."""
    families, models.FAMILIES = models.FAMILIES, ()
    try:
        yield
    finally:
        models.FAMILIES = families


def pairs(adapter, found):
    """[(layer of the adapter's, layer that was found)]; None where they are not the same. The one may name a block and the other the
    attention in it."""
    if len(adapter) != len(found):
        return None
    same = all(a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.") for a, b in zip(adapter, found, strict=True))
    return list(zip(adapter, found, strict=True)) if same else None


def text_slices(tiny, model, family, prompt, noise, cfg):
    """[(start, stop) of the text among the keys] of all text layers in one step, in the order of the calls."""
    seen, modules = [], hook.Modules(family)

    def told(attention):
        keys = range(attention.k.shape[attention.axis])[attention.text]
        seen.append((keys.start, keys.stop))
        return attention()

    def around_call(executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options={}, **kwargs):
        diffusion_model = executor.class_obj.diffusion_model
        around = dict.fromkeys(family.layer_names(diffusion_model), told)
        with hook.attentions(modules, diffusion_model, transformer_options, around, len(x)) as options:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

    watched = model.clone()
    add_row_wrapper(watched, around_call)
    comfy.sample.sample(watched, noise, 1, cfg, tiny.sampler, "simple", prompt, tiny.conditioning(2), tiny.nothing(noise),
                        disable_pbar=True, seed=0)  # fmt: skip
    return seen


def calls(tiny):
    """(prompt, noise, cfg)"""
    noise = tiny.noise()
    yield tiny.conditioning(0), noise, 1.0
    yield tiny.conditioning(0), torch.cat([noise, noise], -2), 1.0
    yield tiny.conditioning(0), tiny.noise(2), 4.0
    if tiny.length_matters:
        yield tiny.conditioning(0, tiny.tokens + 3), noise, 1.0
        yield tiny.conditioning(0, tiny.tokens - 3), noise, 1.0


def row(tiny):
    out = {"class": tiny.kind, "models": tiny.models, "layers_found": 0, "layers_equal": False, "text_equal": False, "checks": ""}
    model, started = tiny.build(), time.perf_counter()
    with without_adapters():
        try:
            discovery.look_at(model, tiny.conditioning(0))
            found = models.family_of(model)
        except ValueError as error:
            return {**out, "refused": str(error), "seconds": round(time.perf_counter() - started, 1)}
    out |= {"checks": CHECKS, "seconds": round(time.perf_counter() - started, 1), "refused": ""}
    diffusion_model, adapter = model.model.diffusion_model, models.family_of(model)
    out["layers_found"] = len(found.layers)
    out["layers_equal"] = pairs(adapter.layer_names(diffusion_model), found.layers) is not None
    out["text_equal"] = all(text_slices(tiny, model, found, *call) == text_slices(tiny, model, adapter, *call) for call in calls(tiny))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of classes")
    arguments = parser.parse_args()
    rows = []
    for tiny in MODELS:
        if tiny.exists and (not arguments.only or tiny.kind in arguments.only):
            rows.append(row(tiny))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
    right = sum(r["layers_equal"] and r["text_equal"] for r in rows)
    wrong = sum(not r["refused"] and not (r["layers_equal"] and r["text_equal"]) for r in rows)
    print(f"{len(rows)} models: {right} right, {sum(bool(r['refused']) for r in rows)} refused, {wrong} wrong", file=sys.stderr)


if __name__ == "__main__":
    main()
