"""What is measured of one model.

measure   Built -> what a case's result says; a part that fails says why and the others go on
reason    an error as one line
"""

import copy
import gc

import comfy.model_management
import torch

from ...patching import models
from ...patching.patch import METHODS, patch_prompt
from ...testing.memory import peak_bytes
from ..cost.timing import ratio, timed


def measure(built, rounds, memory):
    """memory: whether to measure peaks and what is kept too, which on a CPU takes longest."""
    out = {}
    model = built.model
    family, names = models.family_of(model), models.layer_names(model)
    few = models.known(model) or models.written(model, names[len(names) // 2])
    every = models.written(model, ", ".join(names))
    plain = built.draw()
    out["finite"] = bool(plain.isfinite().all())
    out["layers"], out["all_layers"] = list(few.names), len(names)
    out["loaded_share"] = round(model.loaded_size() / model.model_size(), 3)
    if memory:
        _part(out, "peak_bytes", lambda: _peak(built.draw))
        base = _kept(built, model)
    same = [[embeddings.clone(), copy.deepcopy(extra)] for embeddings, extra in built.source]  # the source's text, encoded again
    for method in METHODS if family.evolves else METHODS[:1]:
        row = out[method] = {}
        _part(row, "seconds_of_plain", lambda m=method: ratio(timed(built.draw), timed(_drawing(built, few, m)), rounds))
        _part(row, "identity_off_by", lambda m=method: _far(_drawing(built, every, m, same)(), plain))
        _part(row, "edit_changes", lambda m=method: _far(_drawing(built, few, m)(), plain))
        for label, layers in (("", few), ("_all_layers", every)) if memory else ():
            _part(row, "peak_bytes" + label, lambda m=method, c=layers: _peak(_drawing(built, c, m)))
            _part(row, "kept_bytes" + label, lambda m=method, c=layers: _more(_kept(built, _patched(built, c, m)), base))
    return out


def reason(error):
    text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return f"does not fit: {text}" if isinstance(error, torch.OutOfMemoryError) else text


def _part(row, name, measured):
    try:
        row[name] = measured()
    except Exception as error:
        row[name] = {"failed": reason(error)}
        comfy.model_management.soft_empty_cache(True)


def _patched(built, layers, method, target=None):
    return patch_prompt(built.model, layers, target or built.target, method=method)


def _drawing(built, layers, method, target=None):
    patched = _patched(built, layers, method, target)
    return lambda: built.draw(patched)


def _far(a, b):
    """The largest difference as a share of the picture's range; 0 is bit for bit."""
    return float((a - b).abs().max() / (b.max() - b.min()))


def _peak(call):
    """Bytes beyond what was held before."""
    if not torch.cuda.is_available():
        return peak_bytes(call)[1]
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    return torch.cuda.max_memory_allocated() - held


def _kept(built, model):
    """{device: bytes} of all tensors that are there at the run's end, whoever holds them."""
    seen = {}

    def look(step, x0, x, total):
        if step + 1 < total:
            return
        storages = {}
        for thing in gc.get_objects():
            if type(thing) in (torch.Tensor, torch.nn.Parameter):
                storage = thing.untyped_storage()
                storages[str(thing.device), storage.data_ptr()] = storage.nbytes()
        for (device, _), size in storages.items():
            seen[device] = seen.get(device, 0) + size

    gc.collect()
    built.draw(model, callback=look)
    return seen


def _more(found, base):
    return {device: size - base.get(device, 0) for device, size in found.items() if size > base.get(device, 0)}
