"""Popular packs with their own code beside ours:

`python dev.py run benchmarks.server.packs --packs FOLDER/custom_nodes --out FILE.json`

The folder holds the packs as ComfyUI's custom_nodes does, each from git; none of them is part of this repository. Each is loaded by
ComfyUI's own loader, in a process of its own, because some write over ComfyUI's functions. Then, on tiny models:

ours        with the pack loaded and not used, ours draws what it drew before, bit by bit
identity    the source's own text in all layers, beside the pack's node, changes not one bit
target      another text in one layer does
order       ours before the pack's node or behind it: the same bits (a node that samples has no order)
untouched   the model that both were given is as before, bit by bit
ok          all of that; refused: by a message of ours

alone: whether the pack's node draws without ours; repeats: the same when it is made anew; does: whether it changes the picture of the tiny
model at all. A name that ComfyUI has no longer is given to a pack that asks for it while it is imported (lacks), where what is tried does
not use it.
"""

import argparse
import asyncio
import importlib
import inspect
import json
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import server
import torch
from comfy_api.latest import io

import nodes

from ...testing.beside import STEPS, bench, differs, plain

ROOT = Path(__file__).parents[2]
U_NET, MMDIT, FLUX = "sdxl", "sd3", "flux"
_FOLDER = re.compile("custom_nodes/|site-packages/|ComfyUI[^/]*/")  # of a pack, a package, or ComfyUI


@dataclass(frozen=True)
class Case:
    """given(bench): inputs of the node beside its model, where its own defaults do not do. samples: it draws, instead of making a MODEL."""

    node: str
    on: tuple[str, ...] = (U_NET, FLUX)
    given: Callable = lambda bench: {}
    samples: bool = False


@dataclass(frozen=True)
class Pack:
    """lacks: (module, name) that its import asks for in vain in ComfyUI 0.30. needs: packs that are loaded before it."""

    cases: tuple[Case, ...] = ()
    lacks: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()


def prompts(bench):
    latent = {"samples": torch.zeros_like(bench.noise)}
    return {"positive": bench.source, "negative": bench.negative, "latent_image": latent, "seed": 3, "steps": STEPS, "cfg": 5.0}


def no_picture(bench):
    # What ComfyUI's executor gives it.
    hidden = {"prompt": {}, "extra_pnginfo": {}, "my_unique_id": 1}
    return {**prompts(bench), **hidden, "preview_method": "none", "vae_decode": "false"}


def on_the_cpu(bench):
    return {**prompts(bench), "noise_mode": "CPU"}


def nag_sampler(bench):
    return {**prompts(bench), "nag_negative": bench.negative}


def clown(bench):
    return {**prompts(bench), "sampler_name": "exponential/res_2s", "scheduler": "normal", "bongmath": False}


def xlabs(bench):
    given = prompts(bench)
    return {"conditioning": bench.source, "neg_conditioning": bench.negative, "noise_seed": 3, "steps": STEPS, "true_gs": 1.0,
            "latent_image": given["latent_image"]}  # fmt: skip


def basic_pipe(bench, model):
    given = prompts(bench)
    pipe = (model, None, None, given.pop("positive"), given.pop("negative"))
    return {**given, "basic_pipe": pipe, "sampler_name": "euler", "scheduler": "normal"}


def regions(bench):
    left = torch.zeros(1, 64, 96)
    left[..., :48] = 1
    return {"base_mask": left, "cond_1": [[bench.negative[0][0].flip(1), {}]], "mask_1": 1 - left}


def small_tiles(bench):
    return {"tile_width": 48, "tile_height": 48, "tile_overlap": 16}


def cached_blocks(bench):
    return {"residual_diff_threshold": 0.9}


def tea(bench):
    return {"model_type": "flux", "rel_l1_thresh": 0.9, "cache_device": "cpu"}


def sampling_settings(bench):
    settings = make("ADE_AnimateDiffSamplingSettings", {"noise_type": "default", "seed_gen": "comfy"})[0]
    return {"sample_settings": settings, "beta_schedule": "use existing"}


def ip_adapter(bench):
    """Random weights for every block in which the pack looks for an attention of Stable Diffusion 1.x, as wide as the attention there."""
    there, random = dict(bench.model.model.diffusion_model.named_modules()), torch.Generator().manual_seed(2)
    blocks = [f"input_blocks.{n}" for n in (1, 2, 4, 5, 7, 8)] + [f"output_blocks.{n}" for n in range(3, 12)] + ["middle_block"]
    names = [f"{block}.1.transformer_blocks.0.attn2" for block in blocks]
    text, widths = bench.source[0][0].shape[-1], [there[name].to_k.out_features if name in there else 8 for name in names]
    layers = {
        f"{2 * n + 1}.to_{part}_ip.weight": 0.3 * torch.randn(width, text, generator=random)
        for n, width in enumerate(widths) for part in "kv"
    }  # fmt: skip
    picture = {"proj.weight": 0.3 * torch.randn(4 * text, 16, generator=random), "proj.bias": torch.zeros(4 * text),
               "norm.weight": torch.ones(text), "norm.bias": torch.zeros(text)}  # fmt: skip
    weights = {"image_proj": picture, "ip_adapter": layers}
    return {"ipadapter": {"ipadapter": {"model": weights}, "clipvision": {"model": None}}, "neg_embed": torch.zeros(1, 16),
            "pos_embed": torch.randn(1, 16, generator=random), "weight_type": "linear", "embeds_scaling": "V only"}  # fmt: skip


def every_output_block(bench):
    return {"output_block": True, "slice_b1": 64, "slice_b2": 32}


def every_block(bench):
    return {"unet_block_list": ""}


def based_regions(bench):
    return {**regions(bench), "base_cond": bench.source}


def negative_prompt(bench):
    return {"negative": bench.negative}


PACKS = {
    "ComfyUI_IPAdapter_plus": Pack((Case("IPAdapterEmbeds", (U_NET,), ip_adapter),)),
    "ComfyUI-Easy-Use": Pack((Case("dynamicThresholdingFull"),)),
    "ComfyUI-Impact-Pack": Pack((Case("ImpactKSamplerBasicPipe", given=basic_pipe, samples=True),)),
    "ComfyUI-Inspire-Pack": Pack((Case("KSampler //Inspire", given=on_the_cpu, samples=True),), needs=("ComfyUI-Impact-Pack",)),
    "ComfyUI-KJNodes": Pack((Case("CFGZeroStarAndInit"), Case("PatchModelPatcherOrder"), Case("ModelPatchTorchSettings"))),
    "ComfyUI-TiledDiffusion": Pack((Case("TiledDiffusion", given=small_tiles),)),
    "ComfyUI-AnimateDiff-Evolved": Pack((Case("ADE_UseEvolvedSampling", (U_NET,), sampling_settings),)),
    "ComfyUI-Advanced-ControlNet": Pack(),
    "ComfyUI-GGUF": Pack(),
    "ComfyUI-MultiGPU": Pack(),
    "rgthree-comfy": Pack(),
    "ComfyUI_UltimateSDUpscale": Pack(),
    "comfyui-prompt-control": Pack(),
    "ComfyUI-layerdiffuse": Pack(),
    "ComfyUI_smZNodes": Pack((Case("smZ Settings"),)),
    "efficiency-nodes-comfyui": Pack((Case("KSampler (Efficient)", given=no_picture, samples=True),)),
    "RES4LYF": Pack((Case("ClownsharKSampler_Beta", given=clown, samples=True),)),
    "Comfy-WaveSpeed": Pack((Case("ApplyFBCacheOnModel", given=cached_blocks),)),
    "ComfyUI-TeaCache": Pack((Case("TeaCache", (FLUX,), tea),), lacks=(("comfy.ldm.lightricks.model", "precompute_freqs_cis"),)),
    "ComfyUI-NAG": Pack((Case("KSamplerWithNAG", given=nag_sampler, samples=True),),
                        lacks=tuple(("comfy.ldm.chroma.layers", name) for name in ("DoubleStreamBlock", "SingleStreamBlock"))),
    "ComfyUI-ppm": Pack((Case("AttentionCouplePPM", (U_NET,), based_regions),),
                        lacks=(("comfy.ldm.cosmos.predict2", "apply_rotary_pos_emb"),)),
    "cgem156-ComfyUI": Pack((Case("AttentionCouple|cgem156", (U_NET,), regions), Case("AttentionScale|cgem156", (U_NET,)))),
    "sd-perturbed-attention": Pack((
        Case("PerturbedAttention"), Case("SmoothedEnergyGuidanceAdvanced"), Case("SlidingWindowGuidanceAdvanced", given=small_tiles),
        Case("TokenPerturbationGuidance", given=every_block), Case("NormalizedAttentionGuidance", given=negative_prompt), Case("PLADIS"),
    )),
    "FreeU_Advanced": Pack((Case("WAS_FreeU_V2", (U_NET,), every_output_block),)),
    "x-flux-comfyui": Pack((Case("XlabsSampler", (FLUX,), xlabs, samples=True),)),
}  # fmt: skip


def make(name, given):
    """What a node makes, of what is given and of its own defaults."""
    kind = nodes.NODE_CLASS_MAPPINGS[name]
    values = {}
    for part in ("required", "optional"):
        for key, spec in kind.INPUT_TYPES().get(part, {}).items():
            said = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
            if "default" in said:
                values[key] = said["default"]
            elif isinstance(spec[0], list) and spec[0] and part == "required":
                values[key] = spec[0][0]
    values |= given
    if isinstance(kind, type) and issubclass(kind, io.ComfyNode):
        kind = kind.PREPARE_CLASS_CLONE(None) if hasattr(kind, "PREPARE_CLASS_CLONE") else kind
        out = kind.execute(**values)
    else:
        own = kind()
        taken = inspect.signature(getattr(own, kind.FUNCTION)).parameters
        more = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())
        out = getattr(own, kind.FUNCTION)(**{key: value for key, value in values.items() if more or key in taken})
    return out.args if isinstance(out, io.NodeOutput) else out["result"] if isinstance(out, dict) else out


def tried(case, name):
    """Rows of one case on one model."""
    beside = bench(name)

    def draw(model):
        torch.manual_seed(3)  # as ComfyUI does when it makes the noise: some nodes draw from it
        return beside.draw(model)

    def used(model):
        """What is drawn of a MODEL with the pack's node."""
        torch.manual_seed(3)
        if case.given is basic_pipe:
            return _latents(make(case.node, basic_pipe(beside, model)))
        key = "*" if case.node == "smZ Settings" else "model"
        made = make(case.node, {**case.given(beside), key: model})
        return _latents(made) if case.samples else draw(next(one for one in made if hasattr(one, "model_options")))

    def patched(model):
        key = "*" if case.node == "smZ Settings" else "model"
        return next(one for one in make(case.node, {**case.given(beside), key: model}) if hasattr(one, "model_options"))

    rows = []
    for method in beside.methods:
        row = {"node": case.node, "model": name, "method": method if len(beside.methods) > 1 else "either", "ok": False, "refused": False,
               "reason": ""}  # fmt: skip
        rows.append(row)
        try:
            row["alone"] = False  # whether the pack's node draws without ours
            alone = used(beside.model)
            row["alone"], row["repeats"] = True, torch.equal(used(beside.model), alone)
            row["does"] = case.samples or bool(differs(alone, plain(name)))
            if case.samples:
                row["identity"] = torch.equal(used(beside.edit(beside.model, beside.source, beside.everything(), method)), alone)
                row["target"] = bool(differs(used(beside.edit(beside.model, method=method)), alone))
            else:
                theirs = patched(beside.model)
                row["identity"] = torch.equal(draw(beside.edit(theirs, beside.source, beside.everything(), method)), alone)
                before = draw(beside.edit(theirs, method=method))
                row["target"] = bool(differs(before, alone))
                row["order"] = torch.equal(before, used(beside.edit(beside.model, method=method)))
            row["untouched"] = torch.equal(beside.draw(beside.model), plain(name))
            row["ok"] = all(row[check] for check in ("identity", "target", "order", "untouched") if check in row)
        except Exception as error:
            row["reason"] = f"{type(error).__name__}: {error}"[:500]
            lines = traceback.extract_tb(error.__traceback__)
            row["refused"] = isinstance(error, (ValueError, RuntimeError)) and Path(lines[-1].filename).is_relative_to(ROOT / "patching")
            row["where"] = "" if row["refused"] else f"{_FOLDER.split(lines[-1].filename)[-1]}:{lines[-1].lineno}"
    return rows


def _latents(made):
    return next(one["samples"] for one in made if isinstance(one, dict) and "samples" in one)


def edits():
    """{(model, method): what ours draws alone}"""
    return {(name, method): bench(name).draw(bench(name).edit(bench(name).model, method=method))
            for name in (U_NET, MMDIT, FLUX) for method in bench(name).methods}  # fmt: skip


def rows_of(folder, pack, before):
    out = {"pack": folder.name, **_version(folder), "lacks": [".".join(one) for one in pack.lacks]}
    for module, name in pack.lacks:
        setattr(importlib.import_module(module), name, type(name, (torch.nn.Module,), {}))
    for other in pack.needs:
        asyncio.get_event_loop().run_until_complete(nodes.load_custom_node(str(folder.parent / other)))
    problems = []
    logging.getLogger().addHandler(_Last(problems))
    if not asyncio.get_event_loop().run_until_complete(nodes.load_custom_node(str(folder))):
        return [{**out, "node": "", "loads": False, "ours": None, "ok": False, "refused": False, "reason": (problems or [""])[-1]}]
    now = edits()
    ours = all(torch.equal(now[key], before[key]) for key in before)
    rows = [{**out, "node": "", "loads": True, "ours": ours, "ok": ours, "refused": False, "reason": ""}]
    for case in pack.cases:
        for name in case.on:
            rows += [{**out, **row} for row in tried(case, name)]
    return rows


class _Last(logging.Handler):
    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def emit(self, record):
        if "Cannot import" in record.getMessage():
            self.kept.append(record.getMessage().split("custom nodes: ")[-1][:300])


def _version(folder):
    commit = subprocess.run(["git", "-C", str(folder), "log", "-1", "--format=%h %cs"], capture_output=True, text=True).stdout.split()
    project = folder / "pyproject.toml"
    lines = project.read_text("utf-8").splitlines() if project.is_file() else []
    version = next((line.split("=")[1].split("#")[0].strip(' "') for line in lines if line.startswith("version")), "")
    return {"version": version, "commit": commit[0] if commit else "", "day": commit[1] if commit else ""}


def prepare(folder):
    """A ComfyUI as its packs expect one: a server, and custom_nodes to import from."""
    sys.path.insert(0, str(folder.parent))
    if not hasattr(server.PromptServer, "instance"):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        server.PromptServer(loop)


def _child(pipe, *arguments):
    with open(os.devnull, "w") as nowhere:
        sys.stdout = nowhere
        pipe.send(rows_of(*arguments))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of packs, tried again")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    prepare(arguments.packs.resolve())
    before = edits()
    for name in (U_NET, MMDIT, FLUX):
        plain(name)
    rows = json.loads(arguments.out.read_text("utf-8")) if arguments.out.exists() else []
    for name, pack in PACKS.items():
        if (arguments.only and name not in arguments.only) or not (arguments.packs / name).is_dir():
            continue
        rows = [row for row in rows if row["pack"] != name]
        here, there = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork").Process(target=_child, args=(there, arguments.packs.resolve() / name, pack, before))
        fork.start()
        there.close()
        try:
            rows += here.recv()
        except EOFError:
            rows.append(
                {"pack": name, "node": "", "loads": False, "ours": None, "ok": False, "refused": False, "reason": "it ended the process"}
            )
        fork.join()
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
        print(json.dumps([row for row in rows if row["pack"] == name]), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
