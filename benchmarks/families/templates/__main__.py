"""ComfyUI's official templates with our node before every sampler:

`python dev.py run benchmarks.families.templates [FOLDER] --out FILE.json`

Every template (of the installed packages, or a JSON file of FOLDER) that samples on this machine is flattened, its files are replaced by
tiny random models of the class, and each of its samplers is drawn as it is and with Patch Prompt Into Layers before it or its guider:
effect: the target's text in the middle layer changes the latents; all_layers: so it does in all of them; identity: largest difference with
the source's own text in all layers, of the largest value; ok: all of that, and identity 0 but for the last bits. A template that our node
refuses in words has them in `reason`, and refused true. Files that are no part of a class (LoRAs, ControlNets) are left out: left_out
names the nodes. Templates that FILE.json has are not tried again, except those of --only.
"""

import argparse
import asyncio
import json
import sys
import traceback
from pathlib import Path

import comfy.utils
import torch

import nodes

from ....patching import models
from ....patching.family import TEXT_FIELDS
from ....patching.patch import METHODS, patch_prompt
from .graph import flat
from .run import Missing, Run, Unserved

ROOT = Path(__file__).parents[3]
# Of the largest value. A guider of three prompts draws them in one batch, in which those without a target are, too: another order of
# additions than where they are not.
LAST_BITS = 1e-6


def templates(folder=None):
    """Workflow files, by name."""
    if folder is None:
        import comfyui_workflow_templates_json

        folder = Path(comfyui_workflow_templates_json.__file__).parent / "templates"
    return sorted(path for path in Path(folder).glob("*.json") if not path.name.startswith("index"))


def prepare():
    """ComfyUI's own nodes, those of comfy_extras too."""
    comfy.utils.set_progress_bar_enabled(False)
    if "CFGGuider" not in nodes.NODE_CLASS_MAPPINGS:
        asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))


def text_of(conditioning):
    """The text of a prompt, as an encoder gives it, in new tensors."""
    return [
        [embeddings.clone(), {name: v.clone() if torch.is_tensor(v) else v for name, v in extra.items() if name in TEXT_FIELDS}]
        for embeddings, extra in conditioning
    ]


def rows_of(path):
    """Rows of one template, none where it does not sample."""
    workflow = json.loads(path.read_text("utf-8"))
    if not isinstance(workflow, dict) or "nodes" not in workflow:
        return []
    graph = flat(workflow)
    run = Run(graph)
    samplers = run.samplers()
    if not samplers:
        return []
    out = {"template": path.stem, "class": run.kind, "samplers": len(samplers)}
    if run.tiny is None:
        return [{**out, "method": "", **_nothing(), "reason": f"{run.kind or 'its class'} is not served"}]
    found = []
    for method in METHODS:
        row = {**out, "method": method, **_nothing()}
        found.append(row)
        try:
            row |= _tried(run, samplers, method)
        except Exception as error:
            row["reason"] = f"{error}" if isinstance(error, Missing) else f"{type(error).__name__}: {error}"[:400]
            row["refused"] = row["runs"] = _is_ours(error)
            if not row["refused"] and not isinstance(error, Missing):
                row["where"] = traceback.format_exc(limit=-3)[-600:]
        row["left_out"] = sorted(run.left_out)
        if not run.evolves():
            row["method"] = "either"
            break
    return found


def _nothing():
    return {"runs": False, "effect": False, "identity": None, "all_layers": False, "ok": False, "refused": False, "reason": ""}


def _is_ours(error):
    """Whether the last of the pack's own lines that an error came through is one that refuses in words."""
    where = traceback.extract_tb(error.__traceback__)
    return isinstance(error, (ValueError, RuntimeError)) and Path(where[-1].filename).is_relative_to(ROOT / "patching")


def _tried(run, samplers, method):
    row = {"effect": True, "identity": 0.0, "all_layers": True}
    for sampler in samplers:
        try:
            plain = run.draw(sampler)
        except Unserved:  # of another model of the template
            continue
        row["runs"] = True
        if not plain.isfinite().all():
            raise Missing("its latents are not numbers without our node either")
        source = text_of(run.source(sampler))
        target = run.encoded(sampler, 4321)

        def patched(layers, text, method=method):
            def patch(model):
                names = models.layer_names(model)
                chosen = models.written(model, names[len(names) // 2] if layers == "one" else f"0-{len(names) - 1}")
                return patch_prompt(model, chosen, text, method=method, notice=lambda said: None)

            return patch

        one, all_layers, same = (run.draw(sampler, patched(*what)) for what in (("one", target), ("all", target), ("all", source)))
        row["effect"] &= not torch.equal(one, plain)
        row["all_layers"] &= not torch.equal(all_layers, plain) and not torch.equal(all_layers, one)
        row["identity"] = max(row["identity"], ((same - plain).abs().max() / plain.abs().max()).item())
    row["ok"] = row["effect"] and row["all_layers"] and row["identity"] <= LAST_BITS
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of templates, tried again")
    arguments = parser.parse_args()
    prepare()
    rows = json.loads(arguments.out.read_text("utf-8")) if arguments.out.exists() else []
    rows = [row for row in rows if row["template"] not in (arguments.only or ())]
    done = {row["template"] for row in rows}
    for path in templates(arguments.folder):
        if path.stem in done or (arguments.only and path.stem not in arguments.only):
            continue
        for row in rows_of(path):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
        rows.sort(key=lambda row: row["template"])
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    served = [row for row in rows if row["method"]]
    print(f"{len(served)} rows of served classes: {sum(r['ok'] for r in served)} ok, {sum(r['refused'] for r in served)} refused",
          file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    main()
