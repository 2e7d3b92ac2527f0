"""What becomes of LoRA files: `python dev.py run benchmarks.lora.files [FOLDER] --out FILE.json`

FOLDER holds LoRA files and models.tsv: a file, a tab and the model that it is for, as lora_models names them. Without it, those of
lora_file_set. A row a file:

    file, model
    keys, used, unused             of the file; unused are those that do nothing at any strength
    equals_stock_at_1_1            all weights are those of ComfyUI's own loader, also the text encoder's where the model has one
    changed_elsewhere_at_1_0       a weight outside of the text layers differs, for the text layers as they are or for one alone
    report, error                  of Load Localized LoRA at 1 in the text layers and 0 elsewhere
    error_at_1_1                   of the same at 1 everywhere
    beyond_stock                   keys that ComfyUI's own loader leaves out or misreads, and that are used here
    equals_stock_but_for_these     the weights that they are not for are those of ComfyUI's own loader
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import comfy.lora
import comfy.sd
import comfy.utils
import torch

from ...lora.files import read
from ...lora.load import load_lora, matched
from ...patching import models
from .file_set import write
from .models import model_of


def row(path, name):
    said = {"file": path.name, "model": name, "keys": 0, "used": 0, "unused": [], "equals_stock_at_1_1": False,
            "changed_elsewhere_at_1_0": False, "report": None, "error": None, "error_at_1_1": None, "beyond_stock": [],
            "equals_stock_but_for_these": False}  # fmt: skip
    try:
        model, clip, layers = model_of(name)
        file = read(path)
    except ValueError as error:
        return said | {"error": str(error), "error_at_1_1": str(error)}
    found = matched(file, model, layers, clip)
    taken = [change for part in found.parts() for change in part.values() if not change.problem]
    used = file.keys_as_spelt({key for change in taken for key in change.keys})
    beyond = {change.weight for change in taken if change.beyond}
    said |= {
        "keys": len(used) + len(found.unused),
        "used": len(used),
        "unused": list(found.unused),
        "beyond_stock": file.keys_as_spelt(sorted({key for change in taken if change.beyond for key in change.keys})),
        "changed_elsewhere_at_1_0": _changes_elsewhere(file, model, layers),
    }
    try:
        said["report"] = load_lora(file, model, layers, 1.0, 0.0).report
    except ValueError as error:
        said["error"] = str(error)
    try:
        ours = load_lora(file, model, layers, 1.0, 1.0, clip, 1.0 if clip else 0.0)
    except ValueError as error:
        return said | {"error_at_1_1": str(error)}
    stock = _stock(path, model, clip)
    different = (
        {key for one, other in zip((ours.model, ours.clip), stock, strict=True) if one for key in _different(one, other)} if stock else None
    )
    return said | {
        "equals_stock_at_1_1": different == set(),
        "equals_stock_but_for_these": different is not None and different <= beyond,
    }


def _stock(path, model, clip):
    """(MODEL, CLIP) of ComfyUI's own loader; None where it fails. It does so on numbers in a pickle, and gets tensors of them."""
    held = comfy.utils.load_torch_file(str(path), safe_load=True)
    tensors = {key: torch.tensor(value) if isinstance(value, int | float) else value for key, value in held.items()}
    try:
        return comfy.sd.load_lora_for_models(model, clip, tensors, 1.0, 1.0 if clip else 0.0)
    except Exception:  # whatever it raises is what people see there
        return None


def _different(one, other):
    """Weights in which two patched models differ."""
    return {key for key in {*_patcher(one).patches, *_patcher(other).patches} if not _same(_patched(one, key), _patched(other, key))}


def _same(one, other):
    return one is not None and other is not None and one.shape == other.shape and one.equal(other)


def _patcher(model):
    return getattr(model, "patcher", model)


def _patched(model, key):
    """A weight as the model is sampled with; None where that fails."""
    patcher = _patcher(model)
    weight = comfy.utils.get_attr(patcher.model, key).detach().clone()
    try:
        return comfy.lora.calculate_weight(patcher.patches.get(key, []), weight, key)
    except Exception:
        return None


def _changes_elsewhere(file, model, layers):
    one_by_one = dict.fromkeys((layers.names[0], layers.names[len(layers.names) // 2], layers.names[-1]))
    for chosen in (layers, *(models.written(model, name) for name in one_by_one)):
        try:
            patched = load_lora(file, model, chosen, 1.0, 0.0).model
        except ValueError:
            continue
        inside = tuple(f"diffusion_model.{name}." for name in chosen.names)
        if any(not key.startswith(inside) for key in _different(model, patched)):
            return True
    return False


def rows(folder):
    for line in (folder / "models.tsv").read_text("utf-8-sig").splitlines():
        name, _, model = (part.strip() for part in line.partition("\t"))
        if name and (name, model) != ("file", "model"):
            yield row(folder / name, model)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        if a.folder is None:
            write(Path(own))
        done = []
        for found in rows(a.folder or Path(own)):
            done.append(found)
            outcome = found["error"] or ("as stock" if found["equals_stock_at_1_1"] else f"{len(found['beyond_stock'])} beyond stock")
            print(f"{found['file']:36} {found['used']:4} of {found['keys']:4} keys  {outcome[:120]}", file=sys.stderr, flush=True)
    a.out.write_text(json.dumps(done, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
